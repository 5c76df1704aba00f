"""`tickerd universe import|list`: which tickers the table holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from cli.common import load, open_table, print_json, with_both
from cli.progress import progress_bar, shown_on
from core import logs
from core.clock import SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED
from core.files import read_text
from core.notify import Notifier
from core.program import on_signals, run_loop
from core.progress import Reporter
from core.settings import Settings
from market.universe import BUNDLED_UNIVERSE, parse_universe, with_bundled_facts
from storage.listings import read_missing
from storage.universe import load_universe, read_tickers
from storage.writer import Writer

WORDS = {"listed": "new", "renamed": "renamed", "back": "back", "unlisted": "no longer listed"}


@click.group()
def universe() -> None:
    """The list of tickers that are kept fresh."""


@universe.command("list", short_help="List the tickers that are kept fresh.")
@with_both
def list_tickers(config_file: str | None, as_json: bool) -> None:
    """List the tickers that the table keeps fresh, and since when one is missing from the sources."""
    engine = open_table(load(config_file))
    try:
        rows, missing = read_tickers(engine), read_missing(engine)
    finally:
        engine.dispose()
    if as_json:
        print_json({"tickers": [row.ticker for row in rows], "missing": missing})
        return
    for row in rows:
        since = missing.get(row.ticker)
        click.echo(f"{row.ticker}  missing since {since}" if since else row.ticker)


@universe.command("sync", short_help="Look now who is listed.")
@with_both
def sync(config_file: str | None, as_json: bool) -> int:
    """Look now who is listed, as the daily refresh does each night: by Nasdaq Trader's files and Yahoo's screener.

    Exit 69 if Yahoo cannot be reached, 75 if a look is under way, 1 if no source told all it has.
    """
    loaded = load(config_file)
    with progress_bar() as bar:
        # Only now: while the bar is on, standard error writes above it.
        logs.configure(service="universe", level="warning", style=loaded.settings.logging.format)
        counts = run_loop(_sync(loaded.settings, shown_on(bar, {})))
    if as_json:
        print_json(counts)
    else:
        for line in _said(counts):
            click.echo(line)
    return EXIT_DONE if "listed" in counts else EXIT_FAILED


async def _sync(settings: Settings, report: Reporter) -> dict[str, Any]:
    from scanners.context import Context  # here, so that `--help` does not import the network
    from scanners.daily.sync import sync

    stop = asyncio.Event()
    on_signals(stop.set)
    return await sync(Context.build("universe", settings, stop, Notifier(None), report=report, once=True))


def _said(counts: dict[str, Any]) -> Iterator[str]:
    for name, found in counts.get("sources", {}).items():
        yield f"{name}: {found:,} tickers" if isinstance(found, int) else f"{name}: {found}"
    for name in ("listed", "renamed", "back", "unlisted"):
        first = counts.get(f"{name}_first", [])
        words = ", ".join(" -> ".join(each) if isinstance(each, list) else each for each in first)
        more = ", ..." if counts.get(name, 0) > len(first) else ""
        yield f"{counts.get(name, 0):,} {WORDS[name]}" + (f": {words}{more}" if words else "")
    yield f"{counts.get('missing', 0):,} missing from every list, still followed"


@universe.command("import", short_help="Add the tickers of FILE to the table.")
@click.argument("file", type=click.Path(path_type=Path))
@with_both
def import_file(file: Path, config_file: str | None, as_json: bool) -> int:
    """Add the tickers of FILE to the table: one a line, or a CSV with a `symbol` column.

    Rows that cannot be used are named with their line; the rest is loaded. Exit 1 if a row was refused.
    """
    url = load(config_file).settings.database.url
    parsed = parse_universe(read_text(file), source=str(file))
    bundled = parse_universe(read_text(BUNDLED_UNIVERSE), source="bundled").listings
    listings = with_bundled_facts(parsed.listings, bundled)
    with closing(Writer.open(url, service="cli", origin=None, clock=SystemClock())) as writer:
        loaded = load_universe(writer, listings)
    refused = [{"line": row.line, "text": row.text, "reason": row.reason} for row in parsed.refused]
    if as_json:
        print_json({"added": loaded.added, "updated": loaded.updated, "refused": refused})
    else:
        click.echo(f"{loaded.added:,} tickers added, {loaded.updated:,} updated, {len(refused):,} rows refused")
        for row in refused:
            click.echo(f"tickerd: {file}: line {row['line']}: {row['reason']}", err=True)
    return EXIT_FAILED if refused else EXIT_DONE
