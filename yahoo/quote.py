"""The v7 quote endpoint: what to ask and how each field of the answer maps to a `Quote`. Sends nothing itself.

Units differ per endpoint, so this mapping is for v7 alone: change and dividendYield are percent here, fractions in
quoteSummary; bidSize counts lots here, shares there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from core.errors import RetryLater
from market.eastern import local_date
from market.quotes import Quote
from market.units import finite, lots_to_shares, percent_to_fraction, positive_or_none, utc_from_epoch_s

URL = "https://query1.finance.yahoo.com/v7/finance/quote"
FIELDS = (
    "longName,shortName,currency,marketState,regularMarketPrice,regularMarketChange,regularMarketChangePercent,"
    "regularMarketTime,preMarketPrice,postMarketPrice,regularMarketVolume,regularMarketDayLow,regularMarketDayHigh,"
    "regularMarketOpen,regularMarketPreviousClose,bid,ask,bidSize,askSize,fiftyTwoWeekLow,fiftyTwoWeekHigh,"
    "averageDailyVolume3Month,marketCap,sharesOutstanding,trailingPE,forwardPE,dividendYield,dividendRate,"
    "epsTrailingTwelveMonths,bookValue,priceToBook,earningsTimestampStart"
)
LISTED_IN_LOTS = frozenset({"NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS"})
"""US exchanges, whose sizes v7 gives in round lots. OTC quotes come in shares."""
HUNDRED_SHARE_LOT_BELOW_USD = 200.0
"""Since 2025-11-03 a round lot is 100 shares only up to $250 (SEC Rule 600(b)(93)), by last month's average price.
The answer does not name the lot, so above this (a fifth of margin) the size is not known."""
LARGEST_COUNT = 2.0**53
"""No volume or size is larger, and a BIGINT column holds no number beyond 2**63."""
YIELD_TOLERANCE = 20.0
"""dividendYield and dividendRate / price may differ this many times before the unit must be wrong."""


class BadAnswer(RetryLater):
    """The upstream sent something that is not the answer to what was asked."""


class Refused(BadAnswer):
    """An answer that says nothing of the ticker, for a `reason` in a word; to ask again at once would not help."""

    def __init__(self, reason: str, *, where: str, said: str = "") -> None:
        super().__init__(f"{reason}: {said[:200]}" if said else reason, where=where)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAnswer:
    """`quotes` for the tickers asked; `missing`: asked but silently absent; `foreign`: sent but never asked."""

    quotes: tuple[Quote, ...]
    missing: tuple[str, ...]
    foreign: tuple[str, ...]


def query(tickers: Sequence[str], crumb: str) -> dict[str, str]:
    """Return the query parameters that ask for `tickers`."""
    return {"symbols": ",".join(tickers), "fields": FIELDS, "formatted": "false", "crumb": crumb}


def parse_answer(body: bytes, *, asked: Sequence[str], at: datetime) -> QuoteAnswer:
    """Return the quotes of one answer body, each asked ticker accounted for; BadAnswer if it is no v7 answer."""
    try:
        rows = orjson.loads(body)["quoteResponse"]["result"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadAnswer("the answer is not a v7 quote document", where=URL) from error
    if not isinstance(rows, list):
        raise BadAnswer("the answer holds no list of quotes", where=URL)
    found = {row["symbol"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str)}
    wanted = [ticker for ticker in dict.fromkeys(asked) if ticker in found and not _is_empty(found[ticker])]
    return QuoteAnswer(
        quotes=tuple(parse_quote(found[ticker], at=at) for ticker in wanted),
        missing=tuple(ticker for ticker in dict.fromkeys(asked) if ticker not in set(wanted)),
        foreign=tuple(sorted(found.keys() - set(asked))),
    )


def parse_quote(row: Mapping[str, Any], *, at: datetime) -> Quote:
    """Map one v7 result object. `at`: when it was asked, to tell the next earnings date from the last."""
    price = positive_or_none(row.get("regularMarketPrice"))
    return Quote(
        ticker=row["symbol"],
        company_name=_text(row.get("longName")) or _text(row.get("shortName")),
        exchange=_text(row.get("exchange")),
        quote_type=_text(row.get("quoteType")),
        currency=_text(row.get("currency")),
        market_state=_text(row.get("marketState")),
        current_price=price,
        price_change=finite(row.get("regularMarketChange")),
        price_change_percent=finite(row.get("regularMarketChangePercent")),
        price_time=utc_from_epoch_s(row.get("regularMarketTime")),
        pre_market_price=positive_or_none(row.get("preMarketPrice")),
        post_market_price=positive_or_none(row.get("postMarketPrice")),
        volume=_count(row.get("regularMarketVolume")),
        days_low=positive_or_none(row.get("regularMarketDayLow")),
        days_high=positive_or_none(row.get("regularMarketDayHigh")),
        open_price=positive_or_none(row.get("regularMarketOpen")),
        previous_close=positive_or_none(row.get("regularMarketPreviousClose")),
        bid_price=positive_or_none(row.get("bid")),  # 0 when there is no quote
        ask_price=positive_or_none(row.get("ask")),
        bid_size=_size(row, "bidSize", price),
        ask_size=_size(row, "askSize", price),
        week_52_low=positive_or_none(row.get("fiftyTwoWeekLow")),
        week_52_high=positive_or_none(row.get("fiftyTwoWeekHigh")),
        avg_volume_3mon=_count(row.get("averageDailyVolume3Month")),
        market_cap=positive_or_none(row.get("marketCap")),
        shares_outstanding=_count(row.get("sharesOutstanding")) or None,
        pe_ratio=positive_or_none(row.get("trailingPE")),  # "Infinity" comes as text; absent when EPS < 0
        forward_pe=finite(row.get("forwardPE")),
        dividend_yield=_dividend_yield(row, price),
        earnings_per_share=finite(row.get("epsTrailingTwelveMonths")),
        book_value=finite(row.get("bookValue")),
        price_to_book=finite(row.get("priceToBook")),
        next_earnings_date=_next_earnings_date(row, at),
    )


def _is_empty(row: Mapping[str, Any]) -> bool:
    """True for the shell that Yahoo sends of a delisted ticker: quoteType NONE, no price and no close."""
    return row.get("quoteType") == "NONE" or (
        row.get("regularMarketPrice") is None and row.get("regularMarketPreviousClose") is None
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None  # PostgreSQL keeps no NUL


def _count(value: Any) -> int | None:
    number = finite(value)
    return int(number) if number is not None and 0 <= number <= LARGEST_COUNT else None


def _size(row: Mapping[str, Any], key: str, price: float | None) -> int | None:
    size = _count(row.get(key))
    if not size:
        return None
    if row.get("exchange") not in LISTED_IN_LOTS:
        return size
    return lots_to_shares(size) if price is not None and price < HUNDRED_SHARE_LOT_BELOW_USD else None


def _dividend_yield(row: Mapping[str, Any], price: float | None) -> float | None:
    """Return the yield as a fraction, or None where the dividend rate shows that its unit must be another."""
    percent = finite(row.get("dividendYield"))
    if percent is None or percent < 0:
        return None
    fraction = percent_to_fraction(percent)
    rate = positive_or_none(row.get("dividendRate"))
    if fraction and rate is not None and price is not None:
        ratio = fraction / (rate / price)
        if not 1 / YIELD_TOLERANCE <= ratio <= YIELD_TOLERANCE:
            return None
    return fraction


def _next_earnings_date(row: Mapping[str, Any], at: datetime) -> date | None:
    """earningsTimestamp may be the last report; the start of the announced window is the next, if it is to come."""
    start = utc_from_epoch_s(row.get("earningsTimestampStart"))
    return local_date(start) if start is not None and start >= at else None
