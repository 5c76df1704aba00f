"""`tickerd quote|coverage`: reads the table, without the orchestrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from cli.common import age_text, coverage_table, load, open_table, plain_table, print_json, show, with_both
from core.clock import SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED
from core.files import read_text
from core.program import print_error
from core.settings import Market
from market.sessions import Session, build_calendar
from market.tickers import BadTicker, normalise_ticker
from storage.coverage import read_coverage, read_why
from storage.ledger import read_days
from storage.reader import read_quotes

EXPLAINED: tuple[Literal["price", "metrics"], ...] = ("price", "metrics")
"""Groups of which the newest run says why a ticker is fresh or not."""
WIDE = 110
"""Columns that a terminal must have for names beside the numbers."""


@click.command(short_help="Show what the table holds of TICKERS.")
@click.argument("tickers", nargs=-1, required=True)
@with_both
def quote(tickers: tuple[str, ...], config_file: str | None, as_json: bool) -> int:
    """Show what the table holds of TICKERS, and how old it is. Exit 1 if one of them is unknown.

    BRK.B, BRK/B and brk-b all mean BRK-B.
    """
    wanted, malformed = _sorted_out(tickers)
    engine = open_table(load(config_file))
    try:
        rows, unknown = read_quotes(engine, wanted, at=SystemClock().utc_now())
    finally:
        engine.dispose()
    if as_json:
        print_json({"quotes": rows, "unknown": [*unknown, *malformed]})
    else:
        show([_quote_table(rows)] if rows else [])
    for error in malformed.values():
        print_error(error)
    for ticker in unknown:
        click.echo(f"tickerd: {ticker}: not in the table; `tickerd universe list` shows what is", err=True)
    return EXIT_FAILED if unknown or malformed else EXIT_DONE


def _sorted_out(tickers: Sequence[str]) -> tuple[list[str], dict[str, BadTicker]]:
    """Return the tickers in Yahoo's form, and by its text what has no ticker's form."""
    wanted: list[str] = []
    malformed: dict[str, BadTicker] = {}
    for text in tickers:
        try:
            wanted.append(normalise_ticker(text))
        except BadTicker as error:
            malformed[text] = error
    return wanted, malformed


def _quote_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    last = "name" if Console().width >= WIDE else ""
    table = plain_table("ticker", "price", "change", "%", "age", "volume", "market cap", "age", last=last)
    for row in rows:
        table.add_row(
            row["ticker"],
            _price(row["current_price"]),
            _number(row["price_change"], "+,.2f"),
            _number(row["price_change_percent"], "+.2f"),
            age_text(row["price_age_s"]),
            _number(row["volume"], ",d"),
            _millions(row["market_cap"]),
            age_text(row["metrics_age_s"]),
            *([row["company_name"] or ""] if last else []),
        )
    return table


def _price(value: float | None) -> str:
    """Two decimals, or four digits of what costs less than a dollar."""
    return _number(value, ",.4g" if value is not None and value < 1 else ",.2f")


def _millions(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:,.0f} M"


def _number(value: float | int | None, form: str) -> str:
    return "" if value is None else format(value, form)


@click.command(short_help="Show how much of the table is fresh.")
@click.option("--days", type=click.IntRange(1, 366), help="Also what share of the last so many sessions was fresh.")
@with_both
def coverage(days: int | None, config_file: str | None, as_json: bool) -> None:
    """Show, for each group of fields, how many tickers are fresh and how old the numbers are.

    With --days also, for each session, what share of its ticker-minutes was fresh, and why not the rest.
    """
    loaded = load(config_file)
    engine = open_table(loaded)
    try:
        at = SystemClock().utc_now()
        document: dict[str, Any] = {"at": at, "groups": read_coverage(engine, at=at)}
        for group in EXPLAINED:
            document["groups"][group]["why"] = read_why(engine, at=at, group=group)
        if days:
            document["days"] = read_days(engine, _last_sessions(loaded.settings.market, at, days), at=at)
    finally:
        engine.dispose()
    if as_json:
        print_json(document)
    else:
        groups = document["groups"]
        reasons = [f"{group}: {_words(why)}" for group in EXPLAINED if (why := groups[group]["why"])]
        show([coverage_table(groups), "", *reasons, *([""] if reasons else []), _age_table(groups)])
        show(["", _day_table(document["days"])] if days else [])


def _words(why: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in why.items())


def _last_sessions(market: Market, at: datetime, days: int) -> list[Session]:
    """Return the newest sessions that have begun at `at`, the oldest first."""
    calendar = build_calendar(market, read=read_text)
    found: list[Session] = []
    session = calendar.session_at(at) or calendar.last_session(at)
    while session and len(found) < days:
        found.insert(0, session)
        session = calendar.last_session(session.opens_at)
    return found


def _day_table(days: Sequence[Mapping[str, Any]]) -> Table:
    """Return what became of each session's ticker-minutes, in percent of them; good = fresh or unchanged."""
    reasons = ("fresh", "unchanged", "no_trade", "unknown", "not_covered")
    table = plain_table("% of session", "good", *(reason.replace("_", " ") for reason in reasons))
    for day in days:
        for name, group in day["groups"].items():
            total = group["total"] or 1
            row = [f"{100 * group[reason] / total:.1f}" for reason in reasons]
            good = "" if group["share"] is None else f"{100 * group['share']:.1f}"
            table.add_row(f"{day['session']} {name}", good, *row)
    return table


def _age_table(groups: Mapping[str, Mapping[str, Any]]) -> Table:
    table = plain_table("not older than", "half", "90 %", "99 %", "all")
    for name, group in groups.items():
        table.add_row(name, *(age_text(group["age_s"][key]) or "never" for key in ("p50", "p90", "p99", "max")))
    return table
