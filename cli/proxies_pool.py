"""`tickerd proxies check|list`: tries the pool now, shows it. Harvesting is in `cli.proxies`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType

from cli.common import age_text, load, open_table, plain_table, print_json, show, with_both
from cli.progress import progress_bar, shown_on
from core.clock import Clock, SystemClock
from core.config import Loaded
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand
from core.program import on_signals, run_loop
from core.progress import Progress, Reporter

if TYPE_CHECKING:
    from proxies.model import Member

CAUSES = {
    "ok": "Yahoo answers through them",
    "refused": "nobody listens",
    "timeout": "no answer in time",
    "reset": "hung up",
    "connect_denied": "do not open tunnels",
    "needs_password": "want a password",
    "bad_certificate": "broke TLS open: banned for good",
    "proxy_limit": "their own limit",
    "yahoo_limit": "Yahoo's limit for their exit",
    "consent": "Yahoo asks their exit for consent",
    "captcha": "Yahoo asks their exit for a human",
    "html": "a web page in place of the answer",
    "not_json": "no JSON",
    "foreign": "another ticker than was asked",
    "stale": "an old answer",
    "tampered": "changed numbers",
    "too_big": "an answer without end",
    "crumb_refused": "refused by Yahoo",
    "server_error": "an error of Yahoo's",
    "own_exit": "leave by this host's own address",
}
SHOWN = 40
"""Lines of a list for people; `--json` has all."""


@click.command(short_help="Try the pool's proxies, or a file's, now.")
@click.option("--file", type=click.Path(path_type=Path), help="Try the proxies of this file, and take them in.")
@with_both
def check(file: Path | None, config_file: str | None, as_json: bool) -> int:
    """Try the proxies of the pool, or those of a file, now: does each open a tunnel, and does Yahoo answer through it?

    One request each, over verified TLS; the answer must be about the ticker asked for, with the numbers that Yahoo
    tells this host itself. Exit 1 if none works, 69 if Yahoo does not answer this host.
    """
    loaded = load(config_file)
    clock = SystemClock()
    began_s = clock.monotonic_s()
    stages: dict[str, Progress] = {}
    with progress_bar() as bar:
        causes, good, refused = run_loop(_check(loaded, clock, file, shown_on(bar, stages)))
    elapsed_s = round(clock.monotonic_s() - began_s, 3)
    if as_json:
        from proxies.files import described

        print_json(
            {
                "checked": causes.total(),
                "good": causes["ok"],
                "causes": dict(causes.most_common()),
                "refused": dict(refused.most_common()),
                "elapsed_s": elapsed_s,
                "proxies": [described(each) for each in good],
            }
        )
    else:
        show(_told(causes, refused, elapsed_s))
    return EXIT_DONE if causes["ok"] else EXIT_FAILED


async def _check(
    loaded: Loaded, clock: Clock, file: Path | None, report: Reporter
) -> tuple[Counter[str], list[Member], Counter[str]]:
    """Return cause -> how many, the good ones, and why lines of the file were refused."""
    from proxies import pool  # here, so that `--help` imports no database and no network
    from proxies.files import read_file
    from proxies.guard import load_filter
    from proxies.keeper import Keeper
    from proxies.tools import listed_in_files, open_tools
    from storage.writer import Writer

    settings, refused = loaded.settings, Counter[str]()
    stop = asyncio.Event()
    on_signals(stop.set)
    with closing(_Engine(loaded)) as table:
        allowed = load_filter(settings.proxies)
        named = read_file(file, allowed) if file else listed_in_files(settings, allowed)
        refused += named.refused
        members = pool.load(table.engine) if file else _not_out(pool.load(table.engine), clock)
        _require_some(loaded, named.addresses, members)
        async with open_tools(settings, clock, urls=named.urls) as tools:
            url = settings.database.url
            with closing(Writer.open(url, service="cli", origin=tools.origin, clock=clock)) as writer:
                sources = dict.fromkeys(tools.own.urls, "own") | dict.fromkeys(named.addresses, "file")
                pool.add(writer, sources, at=clock.utc_now())
                members = pool.load(table.engine)
                wanted = [each for each in members if each.address in sources] if file else _not_out(members, clock)
                keeper = Keeper(tools, writer, table.engine, clock, file=Path(settings.proxies.file), wanted=1)
                causes = await keeper.check([each for each in wanted if not each.bad_certificate], stop, report)
                members = await keeper.load()
                await keeper.export(members)
    asked = {(each.address.ip, each.address.port) for each in wanted}
    good = [
        each for each in members if each.state in ("live", "gold") and (each.address.ip, each.address.port) in asked
    ]
    return causes, good, refused


class _Engine:
    """The table, to be closed."""

    def __init__(self, loaded: Loaded) -> None:
        self.engine = open_table(loaded)

    def close(self) -> None:
        self.engine.dispose()


def _not_out(members: list[Member], clock: Clock) -> list[Member]:
    now = clock.utc_now()
    return [each for each in members if not (each.state == "evicted" and each.is_cooling(now))]


def _require_some(loaded: Loaded, addresses: list[Any], members: list[Member]) -> None:
    if not addresses and not members and not loaded.settings.proxies.own:
        raise FixByHand(
            "the pool is empty",
            where=str(loaded.file or ""),
            key="proxies",
            right="run `tickerd proxies harvest`, give --file, or name your own in proxies.own",
        )


def _told(causes: Counter[str], refused: Counter[str], elapsed_s: float) -> Iterator[RenderableType]:
    table = plain_table("came to", "proxies", last="which means")
    for cause, count in causes.most_common():
        table.add_row(cause, f"{count:,}", CAUSES.get(cause, ""))
    yield table
    if refused:
        yield "not asked: " + ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
    yield f"\n{causes['ok']:,} of {causes.total():,} work; {elapsed_s:.1f} s."
    if not causes["ok"]:
        yield "None works now. The direct lane goes on alone; lists go into proxies.sources, your own into proxies.own."


@click.command("list", short_help="Show the pool.")
@with_both
def list_pool(config_file: str | None, as_json: bool) -> int:
    """Show the pool: how many proxies are in each state, and those that work or worked, the best first."""
    from proxies import pool
    from proxies.files import ORDER, described
    from storage.proxies import count_proxies

    loaded = load(config_file)
    clock = SystemClock()
    with closing(_Engine(loaded)) as table:
        counts = count_proxies(table.engine)
        members = pool.load(table.engine, states=("gold", "live", "cooling"))
    members.sort(key=lambda each: (ORDER.get(each.state, 2), each.latency_ms or 1e9, each.address))
    said = {state: counts[state] for state in ("gold", "live", "cooling", "evicted", "candidate")}
    if as_json:
        print_json({"counts": said, "proxies": [described(each) for each in members]})
        return EXIT_DONE
    show(_pool(said, members, clock))
    return EXIT_DONE


def _pool(counts: Mapping[str, int], members: list[Member], clock: Clock) -> Iterator[RenderableType]:
    now = clock.utc_now()
    yield ", ".join(f"{count:,} {state}" for state, count in counts.items())
    if not members:
        yield "No proxy works. `tickerd proxies harvest` finds candidates, `tickerd proxies check` tries them."
        return
    table = plain_table("address", "protocol", "state", "exit", "ok", "fail", "ms", "last ok")
    for each in members[:SHOWN]:
        latency = f"{each.latency_ms:,.0f}" if each.latency_ms is not None else ""
        age = age_text((now - each.last_ok).total_seconds() if each.last_ok else None)
        row = (each.address.protocol, each.state, each.exit_ip or "", f"{each.ok:,}", f"{each.fail:,}", latency, age)
        table.add_row(each.address.text, *row)
    yield table
    if len(members) > SHOWN:
        yield f"and {len(members) - SHOWN:,} more: --json shows all"
