"""`tickerd scan`: scans in this process, on the same bars as the scan engine; what it kept; what is saved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec
from rich.console import Console
from rich.table import Table

from cli.common import WrongUsage, load, open_table, plain_table, print_json, show, with_both
from core import logs
from core.clock import SystemClock
from core.config import Loaded
from core.errors import EXIT_DONE, EXIT_FAILED
from core.settings import Settings

if TYPE_CHECKING:
    from screener.jobs.request import Request
    from screener.jobs.scan import Outcome
    from screener.service import Service
    from storage.writer import Writer

WIDE = 120
SHOWN_FIELDS = 5
"""Fields of the expression that a table of less than WIDE columns shows."""
SCHEDULES = ("minute", "close")


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


def with_request(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a request."""
    options = (
        click.argument("expression", required=False, default=""),
        click.option("--order-by", metavar="EXPR", default="", help="Rank by this, the largest first."),
        click.option("--ascending", is_flag=True, help="Rank the smallest first."),
        click.option("--top", type=click.IntRange(0), default=0, help="Only the best so many by --order-by."),
        click.option("--on", metavar="DATE", help="As of that session, like 2026-11-20."),
        click.option("--since", metavar="DATE", help="Each session from then on ..."),
        click.option("--until", metavar="DATE", help="... up to this one."),
        click.option("--biased", is_flag=True, help="For the past, take today's value of what was not known then."),
        click.option("--ticker", "tickers", multiple=True, metavar="TICKER", help="Only these; may be repeated."),
        click.option("--sector", "sectors", multiple=True, help="Only this sector; may be repeated."),
        click.option("--max-symbols", type=click.IntRange(0), default=0, help="Look at the likeliest so many."),
        click.option("--min-tech-rating", type=float, help="At least this technical rating, 0-100."),
        click.option("--min-volume", type=float, help="At least so many shares."),
        click.option("--min-dollar-volume", type=float, help="At least so many dollars traded."),
        click.option("--max-signals", type=click.IntRange(0), default=0, help="End after so many results."),
        click.option("--max-high-value", type=click.IntRange(0), default=0, help="End after so many rated above 70."),
        click.option("--max-processed", type=click.IntRange(0), default=0, help="End after so many tickers."),
        click.option("--timeout-s", type=click.FloatRange(0), default=0.0, help="End after so many seconds."),
        click.option("--max-age-s", type=click.FloatRange(0), default=0.0, help="Fetch prices heard longer ago."),
        click.option("--export", type=click.Choice(("json", "csv", "parquet")), help="Also write a file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _request(given: Mapping[str, Any]) -> Request:
    from screener.jobs.request import read_request

    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    return read_request({key: value for key, value in plain.items() if value not in (None, "", 0, False, [])})


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
    loaded, request = load(config_file), _request(given)
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
        _print_outcome(outcome, request, limit)
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
            with _writer(loaded.settings) as writer:
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


def at_a_terminal() -> bool:
    return sys.stderr.isatty()


def point_out(error: Any) -> None:
    """Show a person the expression with carets under what is wrong; the one line with the reason follows."""
    if at_a_terminal():
        click.echo("\n".join(error.pointed().splitlines()[:2]), err=True)


def _writer(settings: Settings) -> Writer:
    from storage.writer import Writer

    return Writer.open(settings.database.url, service="cli", origin=None, clock=SystemClock())


def _print_outcome(outcome: Outcome, request: Request, limit: int) -> None:
    counts, ended = outcome.counts, outcome.ended
    seconds = sum(timing["elapsed_s"] for timing in outcome.timings.values())
    show([_result_table(outcome.results[:limit])] if outcome.results else [])
    more = f", {len(outcome.results) - limit:,} not shown (--limit)" if len(outcome.results) > limit else ""
    said = [f"{counts['signals']:,} of {counts['scanned']:,} tickers in {seconds:.3f} s{more}"]
    if outcome.data_as_of:
        said.append(f"as of {outcome.data_as_of}")
    if counts["not_current"] and not (request.since or request.until):
        said.append(f"{counts['not_current']:,} halted or gone, not scanned")
    if outcome.status != "complete":
        what = "exact" if ended["exact"] else f"{100 * ended['coverage']:.1f} % of the universe"
        said.append(f"{outcome.status.replace('_', ' ')} by {ended['reason']}: {what}")
    if outcome.biased:
        said.append(f"biased: {', '.join(outcome.biased)} as of today")
    if outcome.errors:
        first = outcome.errors[0]
        said.append(f"{len(outcome.errors)} errors, the first: {first['ticker']} {first['error']}")
    show(["", "; ".join(said)])


def _result_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Numbers and texts of the expression; of the patterns what they say to do."""
    signals_ = [result.get("signals") or [] for result in results]
    patterns = {one["pattern"] for told in signals_ for one in told}
    names = [name for name in results[0]["values"] if name not in patterns]
    wide = Console().width > WIDE
    names = names if wide else names[:1] if patterns else names[:SHOWN_FIELDS]
    plan = ("entry", "stop", "target_1", "position_size") if patterns else ()
    table = plain_table("ticker", "session", *names, *(word.replace("_", " ") for word in plan), last="notes")
    for result, told in zip(results, signals_, strict=True):
        first = told[0] if told else {}
        said = [one["direction"] if len(patterns) == 1 else f"{one['pattern']} {one['direction']}" for one in told]
        said += ["allotted"] * any(one.get("allotted") for one in told)
        cells = [_cell(result["values"].get(name)) for name in names]
        levels = [_cell(first.get(key)) for key in plan]
        table.add_row(result["ticker"], result["session"], *cells, *levels, " ".join([*said, *result["flags"]]))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"


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
    checked = _checked(_request(given))
    told = {name: getattr(checked, name) for name in ("kind", "fields", "now_only", "market_wide", "look_back", "cost")}
    if as_json:
        print_json({"ok": True, **told})
    else:
        only = f"; only today's value is known of {', '.join(checked.now_only)}" if checked.now_only else ""
        show([f"right: reads {', '.join(checked.fields)}, {checked.look_back} bars back{only}"])


def _checked(request: Request) -> Any:
    from screener.expressions.check import check as check_text
    from screener.expressions.errors import ExpressionError
    from screener.jobs.families import families
    from screener.jobs.market import Vocabulary
    from screener.store import FIELDS

    try:
        vocabulary = Vocabulary(families(), FIELDS)
        if request.order_by:
            check_text(request.order_by, vocabulary, want="number")
        return check_text(request.whole_text(), vocabulary)
    except ExpressionError as error:
        point_out(error)
        raise


@scan.command(short_help="Save a scan under a name, to run by itself or by hand.")
@click.argument("name")
@with_request
@click.option("--every", type=click.Choice(SCHEDULES), help="After each price minute, or after the close.")
@with_both
def save(name: str, every: str | None, config_file: str | None, as_json: bool, **given: Any) -> None:
    """Save a scan under NAME. With --every the scan engine runs it, and says which tickers enter and leave."""
    from storage import scans

    loaded, request = load(config_file), _request(given)
    _checked(request)
    if every and (request.on or request.since or request.until):
        raise WrongUsage("a scan of the past has no schedule", key="--every", right="leave the dates out")
    if every and request.max_age_s:
        right = "leave it out: the scanners bring what a scheduled scan reads"
        raise WrongUsage("a scheduled scan fetches nothing", key="--max-age-s", right=right)
    schedule: scans.Schedule = next((each for each in get_args(scans.Schedule) if each == every), "")
    with _writer(loaded.settings) as writer:
        at = SystemClock().utc_now()
        new = scans.save(writer, name, msgspec.to_builtins(request), schedule=schedule, at=at)
    if as_json:
        print_json({"name": name, "new": new, "schedule": schedule})
    else:
        show([f"{name}: {'saved' if new else 'changed'}{f', runs each {every}' if every else ''}"])


@scan.command(short_help="List the saved scans.")
@with_both
def saved(config_file: str | None, as_json: bool) -> None:
    """List the saved scans, what they ask and when they ran last."""
    from storage import scans

    rows = _read(config_file, scans.read_saved)
    if as_json:
        print_json({"saved": rows})
        return
    table = plain_table("name", "runs", "last run", last="expression")
    for row in rows:
        last = f"{row['last_run_at']:%m-%d %H:%M}" if row["last_run_at"] else "never"
        asked = row["request"].get("expression", "") if isinstance(row["request"], dict) else str(row["request"])
        table.add_row(row["name"], row["schedule"] or "by hand", last, asked)
    show([table])


@scan.command(short_help="Remove a saved scan.")
@click.argument("name")
@with_both
def forget(name: str, config_file: str | None, as_json: bool) -> int:
    """Remove a saved scan and end its signals."""
    from storage import scans

    with _writer(load(config_file).settings) as writer:
        gone = scans.forget(writer, name, at=SystemClock().utc_now())
    if as_json:
        print_json({"name": name, "removed": gone})
    else:
        show([f"{name}: {'removed' if gone else 'no scan is saved under this name'}"])
    return EXIT_DONE if gone else EXIT_FAILED


@scan.command("list", short_help="List the newest scans that were kept.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@with_both
def list_(limit: int, config_file: str | None, as_json: bool) -> None:
    """List the newest scans that were kept, with how they ended."""
    from storage import scans

    rows = _read(config_file, lambda engine: scans.read_scans(engine, limit=limit))
    if as_json:
        print_json({"scans": rows})
        return
    table = plain_table("scan", "status", "results", "of", last="expression")
    for row in rows:
        numbers = [f"{row[key]:,}" if row[key] is not None else "" for key in ("signals", "processed")]
        words = row["name"] or row["request"].get("expression", "")
        table.add_row(row["id"], row["status"], *numbers, words)
    show([table])


@scan.command("show", short_help="Show what a kept scan found.")
@click.argument("scan_id")
@click.option("--since", type=click.IntRange(0), default=0, help="Only results after this number.")
@with_both
def show_(scan_id: str, since: int, config_file: str | None, as_json: bool) -> None:
    """Show a kept scan and its results, or what a running one has found so far."""
    from storage import scans

    row = _read(config_file, lambda engine: scans.read_scan(engine, scan_id))
    found = [_as_result(each) for each in _read(config_file, lambda e: scans.read_results(e, scan_id, since=since))]
    if as_json:
        print_json({"scan": row, "results": found})
        return
    told = ("status", "processed", "signals", "reason", "error")
    words = [f"{key.replace('_', ' ')} {row[key]}" for key in told if row[key] is not None]
    show([", ".join(words), *([_result_table(found)] if found else [])])


def _as_result(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of scan_results in the form that a scan gives."""
    named = {"values": row["measured"], "signals": row["signal"], "session": str(row["session"])}
    return {key: value for key, value in row.items() if key not in ("measured", "signal", "scan_id")} | named


@scan.command(short_help="Stop a scan of the scan engine.")
@click.argument("scan_id")
@with_both
def cancel(scan_id: str, config_file: str | None, as_json: bool) -> int:
    """Stop a scan that waits or runs in the scan engine."""
    from storage import scans

    with _writer(load(config_file).settings) as writer:
        asked = scans.ask_to_cancel(writer, scan_id)
    if as_json:
        print_json({"scan_id": scan_id, "cancelled": asked})
    else:
        show([f"{scan_id}: {'is being stopped' if asked else 'does not run'}"])
    return EXIT_DONE if asked else EXIT_FAILED


@scan.command(short_help="Have the scan engine run a scan.")
@with_request
@with_both
def ask(config_file: str | None, as_json: bool, **given: Any) -> None:
    """Have the scan engine run a scan; `tickerd scan show` follows it."""
    from screener.service import new_id
    from storage import scans

    loaded, request = load(config_file), _request(given)
    _checked(request)
    at = SystemClock().utc_now()
    scan_id = new_id(at)
    with _writer(loaded.settings) as writer:
        scans.ask(writer, scan_id, msgspec.to_builtins(request), name=None, at=at)
    if as_json:
        print_json({"scan_id": scan_id, "status": "pending"})
    else:
        show([scan_id])


@scan.command(short_help="Show which tickers entered and left the scheduled scans.")
@click.argument("name", required=False)
@click.option("--active", is_flag=True, help="Only those that are in now.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@with_both
def signals(name: str | None, active: bool, limit: int, config_file: str | None, as_json: bool) -> None:
    """Show which tickers entered and left the scheduled scans, the newest first."""
    from storage import scans

    rows = _read(config_file, lambda engine: scans.read_signals(engine, name=name, active=active, limit=limit))
    if as_json:
        print_json({"signals": rows})
        return
    table = plain_table("ticker", "scan", "entered", "left", "entry", "stop", "target", last="pattern")
    for row in rows:
        times = [f"{row[key]:%m-%d %H:%M}" if row[key] else "" for key in ("created_at", "left_at")]
        prices = [_cell(row[key]) for key in ("entry_price", "stop_loss", "target1")]
        what = " ".join(filter(None, (row["pattern"], row["direction"])))
        table.add_row(row["symbol"], row["scan"], *times, *prices, what)
    show([table])


@scan.command(short_help="Show in which scans a ticker was found.")
@click.argument("ticker")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@with_both
def found(ticker: str, limit: int, config_file: str | None, as_json: bool) -> None:
    """Show in which of the kept scans a ticker was found, the newest first."""
    from market.tickers import normalise_ticker
    from storage import scans

    rows = _read(config_file, lambda engine: scans.read_scans_of(engine, normalise_ticker(ticker), limit=limit))
    if as_json:
        print_json({"scans": rows})
        return
    table = plain_table("scan", "session", "rank", last="name")
    for row in rows:
        table.add_row(row["id"], str(row["session"]), str(row["rank"] or ""), row["name"] or "")
    show([table])


@scan.command(short_help="Show what went wrong in scans.")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="Of the last so many days.")
@click.option("--clear", is_flag=True, help="Forget them.")
@with_both
def errors(days: int, clear: bool, config_file: str | None, as_json: bool) -> None:
    """Show what went wrong in scans, how often and when last."""
    from storage import scans

    if clear:
        with _writer(load(config_file).settings) as writer:
            scans.clear_errors(writer)
    since = SystemClock().utc_now() - timedelta(days=days)
    rows = _read(config_file, lambda engine: scans.read_errors(engine, since=since))
    if as_json:
        print_json({"errors": rows})
        return
    table = plain_table("times", "stage", "ticker", last="error")
    for row in rows:
        table.add_row(f"{row['times']:,}", row["stage"] or "", row["ticker"] or "", row["error"])
    show([table])


def _read(config_file: str | None, read: Callable[[Any], Any]) -> Any:
    engine = open_table(load(config_file))
    try:
        return read(engine)
    finally:
        engine.dispose()
