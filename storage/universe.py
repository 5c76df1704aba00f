"""The tickers to follow, as the database holds them. Parses no file and never deletes a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Engine, select

from market.security_types import security_type_of
from market.universe import Listing
from storage.schema import stocks_stock
from storage.writer import Transaction, Writer

FACTS = ("company_name", "exchange", "quote_type", "security_type", "sector", "industry")
By = Literal["bundled", "user"]
"""Whose list it is: `user` is one that nobody but the user, or Yahoo calling a ticker delisted, takes it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseLoad:
    """Rows added, changed, and set to not listed."""

    added: int
    updated: int
    unlisted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerRow:
    """`dollar_volume_usd`: 3-month average volume at the current price; None = not known yet."""

    ticker: str
    quote_type: str | None
    dollar_volume_usd: float | None


def load_universe(
    writer: Writer, listings: Sequence[Listing], *, by: By = "user", complete: bool = False, keep_found: bool = False
) -> UniverseLoad:
    """Add new tickers and refresh the facts that a listing says; what it does not say keeps its value.

    `complete`: the listings are the whole universe, and a ticker not among them is no longer listed. `keep_found`: but
    for what the sources found since, which stays as they found it, listed or not.
    """
    wanted = {listing.ticker: _typed(listing) for listing in listings}

    def body(tx: Transaction) -> UniverseLoad:
        held = {row["ticker"]: dict(row) for row in tx.execute("read_universe").mappings()}
        left = {ticker for ticker, row in held.items() if keep_found and _is_found(row)}
        added = [listing for ticker, listing in wanted.items() if ticker not in held]
        changed = [
            listing
            for ticker, listing in wanted.items()
            if ticker in held and ticker not in left and _says_new(listing, by, held[ticker])
        ]
        gone = [
            ticker for ticker, row in held.items() if row["is_listed"] and ticker not in wanted and ticker not in left
        ]
        rows = [_row(listing, by, tx) for listing in sorted([*added, *changed], key=lambda listing: listing.ticker)]
        tx.wrote(tx.execute_many("put_listing", rows))
        unlisted = [{"ticker": ticker, "seq": tx.seq} for ticker in sorted(gone)] if complete else []
        tx.wrote(tx.execute_many("unlist", unlisted))
        return UniverseLoad(added=len(added), updated=len(changed), unlisted=len(unlisted))

    return writer.run(body, source="universe")


def _typed(listing: Listing) -> Listing:
    """Return the listing with its type told by its name, which says it better than the lists do."""
    if listing.company_name is None:
        return listing
    is_etf = listing.quote_type == "ETF"
    return replace(listing, security_type=security_type_of(listing.ticker, listing.company_name, is_etf=is_etf))


def _is_found(row: Mapping[str, Any]) -> bool:
    """Whether a look at the sources had the last word on this ticker, or the user has it on another list."""
    return row["listed_by"] in ("sources", "user") or row["missing_since"] is not None


def _row(listing: Listing, by: By, tx: Transaction) -> dict[str, Any]:
    # A new row has a last_updated at once: PostgreSQL would sort NULL before the newest of the others.
    facts = {name: getattr(listing, name) for name in FACTS}
    return {"ticker": listing.ticker, "listed_by": by, "seq": tx.seq, "at": tx.now} | facts


def _says_new(listing: Listing, by: By, held: Mapping[str, Any]) -> bool:
    if not held["is_listed"] or held["listed_by"] != by:
        return True
    facts = {name: getattr(listing, name) for name in FACTS}
    return any(value not in (None, held[name]) for name, value in facts.items())


def read_tickers(engine: Engine) -> list[TickerRow]:
    """Return the listed tickers, sorted."""
    table = stocks_stock.c
    dollar_volume = table.avg_volume_3mon * table.current_price
    wanted = select(table.ticker, table.quote_type, dollar_volume).where(table.is_listed).order_by(table.ticker)
    with engine.connect() as connection:
        rows = [
            TickerRow(ticker=ticker, quote_type=quote_type, dollar_volume_usd=dollar_volume_usd)
            for ticker, quote_type, dollar_volume_usd in connection.execute(wanted)
        ]
    return sorted(rows, key=lambda row: row.ticker)  # a PostgreSQL collation may order BRK-B otherwise


def unknown_tickers(tx: Transaction, tickers: Iterable[str]) -> set[str]:
    """Return those of `tickers` that have no row."""
    known = {row.ticker for row in tx.execute("read_all_tickers")}
    return set(tickers) - known
