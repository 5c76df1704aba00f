"""`tickerd proxies harvest`: asks the public lists now. `check` and `list` are in `cli.proxies_pool`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType

from cli.common import load, open_table, plain_table, print_json, show, with_both
from cli.progress import progress_bar, shown_on
from cli.proxies_pool import check, list_pool
from core.clock import Clock, SystemClock
from core.config import Loaded
from core.errors import EXIT_DONE, FixByHand, Unreachable
from core.files import make_folder
from core.program import run_loop
from core.progress import Progress, Reporter

if TYPE_CHECKING:
    from net.origin import Origin
    from proxies.harvest import Harvest
    from proxies.pool import Added
    from storage.proxies import Key

REASONS = {
    "cdn": "edge of a delivery network",
    "private": "private address",
    "reserved": "reserved address",
    "own": "this host itself",
    "service_port": "port of another service",
    "bad_port": "no port",
    "not_an_address": "no canonical IPv4 address",
    "credentials": "user name or password",
    "other_protocol": "another protocol",
    "repeated": "repeated within its list",
    "known_bad": "failed lately",
    "over_limit": "over 50,000 a round",
    "junk": "no such thing at all",
}


@click.group()
def proxies() -> None:
    """The pool of proxies: harvest lists, check, look."""


proxies.add_command(check)
proxies.add_command(list_pool)


@proxies.command(short_help="Ask the public lists for candidates now.")
@with_both
def harvest(config_file: str | None, as_json: bool) -> int:
    """Ask every list of `[proxies] sources` now, sift what they name and hand the candidates to the pool.

    Nothing is sent to a candidate: `tickerd proxies check` does that. Exit 69 if no list could be had.
    """
    loaded = load(config_file)
    if not loaded.settings.proxies.sources:
        raise FixByHand(
            "no lists to harvest",
            where=str(loaded.file or ""),
            key="proxies.sources",
            right="name some there, or your own proxies in proxies.own or proxies.file; without any, all goes directly",
        )
    clock = SystemClock()
    began_s = clock.monotonic_s()
    known_bad = _known_bad(loaded, clock)
    stages: dict[str, Progress] = {}
    with progress_bar() as bar:
        done, origin = run_loop(_gather(loaded, clock, known_bad, shown_on(bar, stages)))
    added = _keep(loaded, clock, done, origin)
    elapsed_s = round(clock.monotonic_s() - began_s, 3)
    if as_json:
        print_json(_document(done, added, elapsed_s))
    else:
        show(_parts(done, added, elapsed_s))
    return EXIT_DONE


def _known_bad(loaded: Loaded, clock: Clock) -> set[Key]:
    from storage.proxies import read_refused  # here and below, so that `--help` imports no database and no network

    engine = open_table(loaded)
    try:
        return read_refused(engine, now=clock.utc_now())
    finally:
        engine.dispose()


async def _gather(loaded: Loaded, clock: Clock, known_bad: set[Key], report: Reporter) -> tuple[Harvest, Origin]:
    from net.origin import probe_origin
    from net.tls import build_trust
    from proxies.guard import load_filter
    from proxies.harvest import parse_sources
    from proxies.sources import Gatherer

    settings = loaded.settings
    trust = build_trust(ca_file=settings.network.ca_file, state_dir=make_folder(Path(settings.state.dir)))
    gatherer = Gatherer(
        trust=trust,
        proxy=settings.network.proxy,
        clock=clock,
        addresses=load_filter(settings.proxies),
        refused=known_bad,
        etags={},  # asked by hand: everything anew
    )
    done = await gatherer.gather(parse_sources(settings.proxies.sources), report)
    good = next((each for each in done.yields if each.outcome == "ok"), None)
    if good is None:
        first = done.yields[0]
        right = "look at [network] proxy, or name other lists in proxies.sources; nothing in the pool has changed"
        raise Unreachable(f"no list of {len(done.yields)} could be had: {first.error}", where=first.url, right=right)
    return done, await probe_origin(good.url, trust=trust, proxy=settings.network.proxy)


def _keep(loaded: Loaded, clock: Clock, done: Harvest, origin: Origin) -> Added:
    from proxies.guard import load_filter
    from proxies.sources import keep
    from storage.writer import Writer

    engine = open_table(loaded)
    try:
        with closing(Writer.open(loaded.settings.database.url, service="cli", origin=origin, clock=clock)) as writer:
            is_own = load_filter(loaded.settings.proxies).is_own
            return keep(writer, engine, done, at=clock.utc_now(), is_own=is_own)
    finally:
        engine.dispose()


def _document(done: Harvest, added: Added, elapsed_s: float) -> dict[str, Any]:
    sources = [asdict(each) for each in done.yields]
    return {"candidates": len(done.candidates), **asdict(added), "elapsed_s": elapsed_s, "sources": sources}


def _parts(done: Harvest, added: Added, elapsed_s: float) -> Iterator[RenderableType]:
    table = plain_table("list", "named", "refused", "taken", "new here", last="is")
    for each in done.yields:
        counts = (each.entries, each.entries - each.candidates, each.candidates, each.fresh)
        table.add_row(_short(each.url), *(f"{count:,}" for count in counts), each.shape or each.outcome)
    yield table
    yield ""
    yield from (f"failed: {_short(each.url)}: {each.error}" for each in done.yields if each.outcome == "failed")
    if refused := _sum(each.refused for each in done.yields):
        yield "refused: " + ", ".join(f"{count:,} {REASONS.get(reason, reason)}" for reason, count in refused.items())
    counted = f"{added.new:,} new, {added.again:,} to be tried again, {added.known:,} known"
    yield f"\n{len(done.candidates):,} candidates in {elapsed_s:.1f} s: {counted}."
    yield "`tickerd proxies check` tries them; nothing was sent to them yet."


def _short(url: str) -> str:
    """Return what tells two lists apart: the owner or the host, and the end of the path."""
    host, _, path = url.removeprefix("https://").partition("?")[0].rstrip("/").partition("/")
    parts = [part for part in path.split("/") if part]
    if host.startswith("raw.") and len(parts) > 1:
        host = parts.pop(0)
    return "/".join([host, *([".."] if len(parts) > 1 else []), *parts[-1:]])[:36]


def _sum(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return dict(sorted(total.items(), key=lambda item: -item[1]))
