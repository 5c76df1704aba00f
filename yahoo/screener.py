"""Yahoo's screener as a list of what is traded: what to ask page by page, and what a page says. Sends nothing itself.

A page has at most 250 rows and a query at most 10,000, so shares and ETFs are two queries. Each row is a v7 quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from market.listings import Sighting
from market.security_types import COMMON, security_type_of
from market.tickers import BadTicker, normalise_ticker
from market.units import positive_or_none
from market.universe import Listing
from yahoo.quote import LISTED_IN_LOTS, BadAnswer

URL = "https://query1.finance.yahoo.com/v1/finance/screener"
PARAMS = {"corsDomain": "finance.yahoo.com", "formatted": "false", "lang": "en-US", "region": "US"}
PAGE_ROWS = 250
KINDS = ("EQUITY", "ETF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`total`: rows of the whole query; `refused`: symbols of rows that are no US listing."""

    total: int
    rows: int
    sightings: tuple[Sighting, ...]
    refused: tuple[str, ...]


def body_of(kind: str, *, offset: int) -> bytes:
    """Return the body that asks for the page of `kind` from row `offset` on, in order of the ticker."""
    operands = [["region", "us"], ["exchange", *sorted(LISTED_IN_LOTS)]]
    query = {
        "operator": "and",
        "operands": [
            {"operator": "eq", "operands": operands[0]},
            {"operator": "is-in", "operands": operands[1]},
        ],
    }
    asked = {"offset": offset, "size": PAGE_ROWS, "sortField": "ticker", "sortType": "ASC", "quoteType": kind}
    return orjson.dumps(asked | {"userId": "", "userIdType": "guid", "query": query})


def parse_page(body: bytes) -> Page:
    """Return what a page says; BadAnswer if it is no screener document."""
    try:
        result = orjson.loads(body)["finance"]["result"][0]
        total, rows = int(result["total"]), result["quotes"]
        found = [_sighting(row) for row in rows]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BadAnswer("the answer is not a screener document", where=URL) from error
    return Page(
        total=total,
        rows=len(rows),
        sightings=tuple(each for each in found if isinstance(each, Sighting)),
        refused=tuple(each for each in found if isinstance(each, str)),
    )


def _sighting(row: Mapping[str, Any]) -> Sighting | str:
    """Return the row's listing, or its symbol if it is none of a US exchange."""
    symbol = row["symbol"]
    if not isinstance(symbol, str):
        raise TypeError("symbol is no text")
    try:
        ticker = normalise_ticker(symbol)
    except BadTicker:
        return symbol[:20]
    if row.get("exchange") not in LISTED_IN_LOTS or ticker != symbol:
        return symbol[:20]
    name = _text(row.get("longName")) or _text(row.get("shortName"))
    is_etf = row.get("quoteType") == "ETF"
    kind = security_type_of(ticker, name, is_etf=is_etf)  # Yahoo's names seldom say that a share is a preferred one
    listing = Listing(
        ticker=ticker,
        company_name=name,
        exchange=row["exchange"],
        quote_type="ETF" if is_etf else "EQUITY",
        security_type=None if kind == COMMON else kind,
    )
    return Sighting(listing=listing, price=positive_or_none(row.get("regularMarketPrice")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None
