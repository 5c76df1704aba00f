"""`tickerd quote|coverage`: reads the table, without the orchestrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cli.common import age_text, load, print_json, with_both
from core.clock import SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED
from market.tickers import normalise_ticker
from storage.coverage import read_coverage
from storage.engine import open_reader_engine
from storage.reader import read_quotes


@click.command()
@click.argument("tickers", nargs=-1, required=True)
@with_both
def quote(tickers: tuple[str, ...], config_file: str | None, as_json: bool) -> int:
    """Show what the table holds of TICKERS, and how old it is. Exit 1 if one of them is unknown."""
    wanted = [normalise_ticker(ticker) for ticker in tickers]
    engine = open_reader_engine(load(config_file).settings.database.url, service="cli")
    try:
        rows, unknown = read_quotes(engine, wanted, at=SystemClock().utc_now())
    finally:
        engine.dispose()
    if as_json:
        print_json({"quotes": rows, "unknown": unknown})
    else:
        Console().print(_quote_table(rows))
        for ticker in unknown:
            click.echo(f"{ticker}: not in the table", err=True)
    return EXIT_FAILED if unknown else EXIT_DONE


def _quote_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("ticker", "price", "change", "%", "price age", "volume", "market cap", "metrics age", "name")
    for row in rows:
        table.add_row(
            row["ticker"],
            _number(row["current_price"], ",.4g" if (row["current_price"] or 0) < 1 else ",.2f"),
            _number(row["price_change"], "+.2f"),
            _number(row["price_change_percent"], "+.2f"),
            age_text(row["price_age_s"]),
            _number(row["volume"], ",d"),
            _number(row["market_cap"], ",.0f"),
            age_text(row["metrics_age_s"]),
            row["company_name"] or "",
        )
    return table


def _number(value: float | int | None, form: str) -> str:
    return "" if value is None else format(value, form)


@click.command()
@with_both
def coverage(config_file: str | None, as_json: bool) -> None:
    """Show, for each group of fields, how many tickers are fresh and how old the numbers are."""
    engine = open_reader_engine(load(config_file).settings.database.url, service="cli")
    try:
        at = SystemClock().utc_now()
        groups = read_coverage(engine, at=at)
    finally:
        engine.dispose()
    if as_json:
        print_json({"at": at, "groups": groups})
    else:
        Console().print(_coverage_table(groups))


def _coverage_table(groups: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("group", "fresh", "unchanged", "no trade", "unknown", "of", "age p50", "p90", "p99", "max")
    for name, group in groups.items():
        counts = [f"{group[key]:,}" for key in ("fresh", "unchanged", "no_trade", "unknown", "total")]
        ages = [age_text(group["age_s"][key]) for key in ("p50", "p90", "p99", "max")]
        table.add_row(name, *counts, *ages)
    return table
