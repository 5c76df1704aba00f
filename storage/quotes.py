"""Writes the answers of a quote endpoint. Never lets a group go back in its own time.

Rules, for each ticker in one transaction:
- a field that the answer leaves out keeps its value; only bid, ask, their sizes, the two P/Es, the pre- and
  post-market price, the dividend yield and the next earnings date become NULL, because there absence says
  "none now": a pre- or post-market price of the stream stands until an answer has none;
- a number that is not finite, or not positive where it must be, a value of a wrong type and a price_time in the
  future count as left out, and the quote as refused;
- an answer older than the row's metrics_updated_at changes nothing;
- the price group is taken if the table has no price, if the quote is of the same price_time, or if it is of a
  newer one inside [open, close + 15 min] of the given session;
- the day's high and low are the quote's if it is not older than the table's price; an older quote of the same
  session can only widen them, one of a former session does not touch them. The first quote since the open ends
  those of the former session, even if it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from market.quotes import Quote
from storage.schema import stocks_stock
from storage.universe import unknown_tickers
from storage.values import FUTURE_TOLERANCE, holds, is_words
from storage.writer import Transaction, Writer

AFTER_CLOSE = timedelta(minutes=15)  # the closing auction's print comes minutes after 16:00

POSITIVE = frozenset(
    [
        "current_price",
        "pre_market_price",
        "post_market_price",
        "days_low",
        "days_high",
        "open_price",
        "previous_close",
        "week_52_low",
        "week_52_high",
    ]
)
NOT_NEGATIVE = frozenset(
    [
        "volume",
        "bid_price",
        "ask_price",
        "bid_size",
        "ask_size",
        "avg_volume_3mon",
        "market_cap",
        "shares_outstanding",
        "dividend_yield",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteResult:
    """In quotes. `refused`: a number in it was impossible (the rest was written), or the table held a newer answer."""

    written: int
    unknown_ticker: int
    refused: int


def write_quotes(
    writer: Writer,
    quotes: Sequence[Quote],
    *,
    at: datetime,
    session_opens_at: datetime | None,
    session_closes_at: datetime | None,
) -> QuoteResult:
    """Write at most a few hundred quotes, answered at `at`, in one transaction.

    A bound of the session that is None does not bind.
    """
    newest = {quote.ticker: quote for quote in quotes if is_words(quote.ticker)}
    latest = writer.clock.utc_now() + FUTURE_TOLERANCE
    sound = [_sound_fields(newest[ticker], latest) for ticker in sorted(newest)]
    in_session = _session_test(session_opens_at, session_closes_at)
    rows = [_row(values, at=at, opens_at=session_opens_at, in_session=in_session) for values, _ in sound]
    impossible = {values["ticker"] for values, refused in sound if refused}
    result = writer.run(lambda tx: _write(tx, rows, impossible=impossible), source="metrics")
    nameless = sum(not is_words(quote.ticker) for quote in quotes)
    return replace(result, refused=result.refused + nameless)


def _row(
    values: dict[str, Any], *, at: datetime, opens_at: datetime | None, in_session: Callable[[datetime], bool]
) -> dict[str, Any]:
    price_time = values["price_time"]
    timed = price_time is not None
    return values | {
        "at": at,
        "opens_at": opens_at,
        "in_session": timed and in_session(price_time),
        "since_open": timed and opens_at is not None and price_time >= opens_at,
    }


def _write(tx: Transaction, rows: list[dict[str, Any]], *, impossible: set[str]) -> QuoteResult:
    numbered = [row | {"seq": tx.seq} for row in rows]
    written = tx.execute_many("write_quote", numbered)
    tx.wrote(written)
    priced = [row for row in numbered if row["current_price"] is not None and row["price_time"] is not None]
    tx.wrote(tx.execute_many("write_quote_price", priced))
    unknown = unknown_tickers(tx, [row["ticker"] for row in rows]) if written < len(rows) else set()
    older = len(rows) - written - len(unknown)
    return QuoteResult(written=written, unknown_ticker=len(unknown), refused=older + len(impossible - unknown))


def _session_test(opens_at: datetime | None, closes_at: datetime | None) -> Callable[[datetime], bool]:
    def inside(price_time: datetime) -> bool:
        after_open = opens_at is None or price_time >= opens_at
        return after_open and (closes_at is None or price_time <= closes_at + AFTER_CLOSE)

    return inside


def _sound_fields(quote: Quote, latest: datetime) -> tuple[dict[str, Any], int]:
    """Return the quote's fields with impossible numbers as None, and how many those were."""
    values = {field.name: getattr(quote, field.name) for field in fields(quote)}
    refused = [name for name, value in values.items() if not _is_possible(name, value, latest)]
    return values | dict.fromkeys(refused), len(refused)


def _is_possible(name: str, value: Any, latest: datetime) -> bool:
    if value is None or name == "ticker":
        return True
    if not holds(stocks_stock, name, value):
        return False
    if name == "price_time":
        return bool(value <= latest)
    return (name not in POSITIVE or value > 0) and (name not in NOT_NEGATIVE or value >= 0)
