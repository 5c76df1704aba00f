"""`tickerd universe import|list`: which tickers the table holds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cli.common import load, open_table, print_json, with_both
from core.clock import SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED
from core.files import read_text
from market.universe import BUNDLED_UNIVERSE, parse_universe, with_bundled_facts
from storage.universe import load_universe, read_tickers
from storage.writer import Writer


@click.group()
def universe() -> None:
    """The list of tickers that are kept fresh."""


@universe.command("list")
@with_both
def list_tickers(config_file: str | None, as_json: bool) -> None:
    """List the tickers that the table keeps fresh."""
    engine = open_table(load(config_file))
    try:
        rows = read_tickers(engine)
    finally:
        engine.dispose()
    if as_json:
        print_json({"tickers": [row.ticker for row in rows]})
    else:
        for row in rows:
            click.echo(row.ticker)


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
