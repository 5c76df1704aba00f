"""Commands of `tickerd scan` on what the database keeps: saved scans, kept ones, their signals and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from cli.common import WrongUsage, load, open_table, plain_table, print_json, show, with_both
from cli.scan_request import checked, request_of, with_request
from cli.scan_table import cell, result_table
from core.clock import SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED
from core.settings import Settings

if TYPE_CHECKING:
    from storage.writer import Writer

SCHEDULES = ("minute", "close")


@click.command(short_help="Save a scan under a name, to run by itself or by hand.")
@click.argument("name")
@with_request
@click.option("--every", type=click.Choice(SCHEDULES), help="After each price minute, or after the close.")
@with_both
def save(name: str, every: str | None, config_file: str | None, as_json: bool, **given: Any) -> None:
    """Save a scan under NAME. With --every the scan engine runs it, and says which tickers enter and leave."""
    from storage import scans

    loaded, request = load(config_file), request_of(given)
    checked(request)
    if every and (request.on or request.since or request.until):
        raise WrongUsage("a scan of the past has no schedule", key="--every", right="leave the dates out")
    if every and request.max_age_s:
        right = "leave it out: the scanners bring what a scheduled scan reads"
        raise WrongUsage("a scheduled scan fetches nothing", key="--max-age-s", right=right)
    schedule: scans.Schedule = next((each for each in get_args(scans.Schedule) if each == every), "")
    with open_writer(loaded.settings) as writer:
        at = SystemClock().utc_now()
        new = scans.save(writer, name, msgspec.to_builtins(request), schedule=schedule, at=at)
    if as_json:
        print_json({"name": name, "new": new, "schedule": schedule})
    else:
        show([f"{name}: {'saved' if new else 'changed'}{f', runs each {every}' if every else ''}"])


@click.command(short_help="List the saved scans.")
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


@click.command(short_help="Remove a saved scan.")
@click.argument("name")
@with_both
def forget(name: str, config_file: str | None, as_json: bool) -> int:
    """Remove a saved scan and end its signals."""
    from storage import scans

    with open_writer(load(config_file).settings) as writer:
        gone = scans.forget(writer, name, at=SystemClock().utc_now())
    if as_json:
        print_json({"name": name, "removed": gone})
    else:
        show([f"{name}: {'removed' if gone else 'no scan is saved under this name'}"])
    return EXIT_DONE if gone else EXIT_FAILED


@click.command("list", short_help="List the newest scans that were kept.")
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


@click.command("show", short_help="Show what a kept scan found.")
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
    show([", ".join(words), *([result_table(found)] if found else [])])


def _as_result(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of scan_results in the form that a scan gives."""
    named = {"values": row["measured"], "signals": row["signal"], "session": str(row["session"])}
    return {key: value for key, value in row.items() if key not in ("measured", "signal", "scan_id")} | named


@click.command(short_help="Stop a scan of the scan engine.")
@click.argument("scan_id")
@with_both
def cancel(scan_id: str, config_file: str | None, as_json: bool) -> int:
    """Stop a scan that waits or runs in the scan engine."""
    from storage import scans

    with open_writer(load(config_file).settings) as writer:
        asked = scans.ask_to_cancel(writer, scan_id)
    if as_json:
        print_json({"scan_id": scan_id, "cancelled": asked})
    else:
        show([f"{scan_id}: {'is being stopped' if asked else 'does not run'}"])
    return EXIT_DONE if asked else EXIT_FAILED


@click.command(short_help="Have the scan engine run a scan.")
@with_request
@with_both
def ask(config_file: str | None, as_json: bool, **given: Any) -> None:
    """Have the scan engine run a scan; `tickerd scan show` follows it."""
    from screener.service import new_id
    from storage import scans

    loaded, request = load(config_file), request_of(given)
    checked(request)
    at = SystemClock().utc_now()
    scan_id = new_id(at)
    with open_writer(loaded.settings) as writer:
        scans.ask(writer, scan_id, msgspec.to_builtins(request), name=None, at=at)
    if as_json:
        print_json({"scan_id": scan_id, "status": "pending"})
    else:
        show([scan_id])


@click.command(short_help="Show which tickers entered and left the scheduled scans.")
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
        prices = [cell(row[key]) for key in ("entry_price", "stop_loss", "target1")]
        what = " ".join(filter(None, (row["pattern"], row["direction"])))
        table.add_row(row["symbol"], row["scan"], *times, *prices, what)
    show([table])


@click.command(short_help="Show in which scans a ticker was found.")
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


@click.command(short_help="Show what went wrong in scans.")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="Of the last so many days.")
@click.option("--clear", is_flag=True, help="Forget them.")
@with_both
def errors(days: int, clear: bool, config_file: str | None, as_json: bool) -> None:
    """Show what went wrong in scans, how often and when last."""
    from storage import scans

    if clear:
        with open_writer(load(config_file).settings) as writer:
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


def open_writer(settings: Settings) -> Writer:
    """Return a writer for scans; the caller closes it."""
    from storage.writer import Writer

    return Writer.open(settings.database.url, service="cli", origin=None, clock=SystemClock())


COMMANDS = (save, saved, forget, list_, show_, cancel, ask, signals, found, errors)
