"""`tickerd scan`: scans in this process, on the same bars as the scan engine. What it kept is in `cli.scan_kept`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli import scan_kept
from cli.common import WrongUsage, load, plain_table, print_json, show, with_both
from cli.scan_kept import open_writer
from cli.scan_request import checked, point_out, request_of, with_request
from cli.scan_table import print_outcome
from core import logs
from core.clock import SystemClock
from core.config import Loaded
from core.errors import EXIT_DONE

if TYPE_CHECKING:
    from screener.jobs.request import Request
    from screener.jobs.scan import Outcome
    from screener.service import Service


class WithDefault(click.Group):
    """A group in which what is no command is an expression for `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=WithDefault, short_help="Find tickers by an expression; what earlier scans found.")
def scan() -> None:
    """Find tickers by an expression over the whole market.

    \b
    tickerd scan 'rsi14 < 30 and close > sma200'
    tickerd scan fields            what an expression may name
    """


@scan.command(short_help="Run a scan here and now.")
@with_request
@click.option("--closed", is_flag=True, help="Completed bars only, without the running session's prices.")
@click.option("--keep", is_flag=True, help="Keep it in the database, as the scan engine's own.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows to print.")
@click.option("-v", "--verbose", is_flag=True, help="Say on standard error which stage begins and ends.")
@with_both
def run(
    config_file: str | None, as_json: bool, closed: bool, keep: bool, limit: int, verbose: bool, **given: Any
) -> int:
    """Run a scan here and now: the expression over every ticker, newest bars or past ones."""
    from screener.sentences import SENTENCES

    if verbose:
        logs.configure(service="scan", level="info", style="text", sentences=SENTENCES)
    loaded, request = load(config_file), request_of(given)
    if closed and request.max_age_s:
        raise WrongUsage("completed bars are not fetched", key="--max-age-s", right="leave --closed out")
    service = open_service(loaded, fetches=request.max_age_s > 0)
    with closing(service):
        market = service.store.closed if closed or request.on or request.since or request.until else service.store.live
        scan_id, outcome = _run(loaded, service, request, market, keep=keep)
    if as_json:
        from screener.service import about

        print_json({**about(scan_id, request, outcome), "results": outcome.results})
    else:
        print_outcome(outcome, request, limit)
    return EXIT_DONE


def open_service(loaded: Loaded, *, fetches: bool) -> Service:
    """Return what runs scans in this process."""
    from screener.service import Service
    from screener.store import Store

    clock = SystemClock()
    store = Store(loaded.settings, service="cli", clock=clock)
    if not fetches:
        return Service(loaded.settings, store, clock)
    from screener.feed import QuoteFeed  # the network's libraries would double the start of a scan that needs none

    return Service(loaded.settings, store, clock, feed=QuoteFeed(loaded.settings, store, clock))


def _run(
    loaded: Loaded, service: Service, request: Request, market: Callable[[], Any], *, keep: bool
) -> tuple[str, Outcome]:
    from screener.expressions.errors import ExpressionError
    from screener.service import new_id
    from storage import scans

    now = service.clock.utc_now()
    scan_id = new_id(now)
    try:
        if not keep and not request.export:
            outcome = service.run(request, scan_id=scan_id, load=market)
        else:
            with open_writer(loaded.settings) as writer:
                scans.begin(writer, scan_id, msgspec.to_builtins(request), name=None, at=now)
                try:
                    outcome = service.run(request, scan_id=scan_id, load=market)
                    service.keep(writer, scan_id, request, outcome)
                except BaseException as error:  # also of a person who waits no longer
                    service.keep_failure(writer, scan_id, error)
                    raise
    except ExpressionError as error:
        point_out(error)
        raise
    service.save_times()
    return scan_id, outcome


@scan.command(short_help="List what an expression may name.")
@click.argument("words", nargs=-1)
@with_both
def fields(words: tuple[str, ...], config_file: str | None, as_json: bool) -> None:
    """List fields and functions; with WORDS only those whose name or meaning holds all of them."""
    from screener.expressions.check import SHAPES
    from screener.jobs.families import families
    from screener.jobs.market import Vocabulary
    from screener.store import FIELDS

    load(config_file)
    vocabulary = Vocabulary(families(), FIELDS)
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": field.kind, "unit": field.unit, "past": field.dated, "meaning": field.doc}
        for name, field in vocabulary.items()
    ]
    rows += [
        {"name": shape.example, "kind": "function", "unit": "", "past": True, "meaning": shape.doc}
        for shape in SHAPES.values()
    ]
    rows = [row for row in rows if all(word.lower() in f"{row['name']} {row['meaning']}".lower() for word in words)]
    if as_json:
        print_json({"fields": rows})
        return
    table = plain_table("name", "kind", "unit", "past", last="meaning")
    for row in rows:
        table.add_row(row["name"], row["kind"], row["unit"], "yes" if row["past"] else "no", row["meaning"])
    show([table])


@scan.command(short_help="Check an expression without running it.")
@with_request
@with_both
def check(config_file: str | None, as_json: bool, **given: Any) -> None:
    """Check an expression without running it: fields, types, what was known when, cost."""
    load(config_file)
    found = checked(request_of(given))
    told = {name: getattr(found, name) for name in ("kind", "fields", "now_only", "market_wide", "look_back", "cost")}
    if as_json:
        print_json({"ok": True, **told})
    else:
        only = f"; only today's value is known of {', '.join(found.now_only)}" if found.now_only else ""
        show([f"right: reads {', '.join(found.fields)}, {found.look_back} bars back{only}"])


for command in scan_kept.COMMANDS:
    scan.add_command(command)
