"""Recorded answers and frames go through the product into the table, and each field is the recording's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from market.quality import why_refused
from market.quotes import Tick
from market.sessions import Session
from market.universe import Listing
from scanners.prices.book import PriceBook
from storage.engine import open_reader_engine
from storage.prices import flush_prices
from storage.quotes import write_quotes
from storage.reader import read_quotes
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import StillClock
from yahoo.quote import parse_answer
from yahoo.stream import FrameParser

DATA = Path(__file__).parent.parent / "data"
SAME = {
    "current_price": "regularMarketPrice",
    "price_change": "regularMarketChange",
    "price_change_percent": "regularMarketChangePercent",
    "volume": "regularMarketVolume",
    "days_low": "regularMarketDayLow",
    "days_high": "regularMarketDayHigh",
    "open_price": "regularMarketOpen",
    "previous_close": "regularMarketPreviousClose",
    "week_52_low": "fiftyTwoWeekLow",
    "week_52_high": "fiftyTwoWeekHigh",
    "avg_volume_3mon": "averageDailyVolume3Month",
    "market_cap": "marketCap",
    "shares_outstanding": "sharesOutstanding",
    "pe_ratio": "trailingPE",
    "forward_pe": "forwardPE",
    "earnings_per_share": "epsTrailingTwelveMonths",
    "book_value": "bookValue",
    "price_to_book": "priceToBook",
    "post_market_price": "postMarketPrice",
    "pre_market_price": "preMarketPrice",
    "exchange": "exchange",
    "quote_type": "quoteType",
    "currency": "currency",
    "market_state": "marketState",
}
"""Column -> key whose value is stored as it came; a missing key must be NULL."""
ZERO_IS_NOT_KNOWN = {"previous_close", "open_price", "days_low", "days_high"}
IN_LOTS = ("NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS")


def recorded() -> Iterator[tuple[datetime, dict[str, Any]]]:
    for line in (DATA / "v7_quotes.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for row in record["body"]["quoteResponse"]["result"]:
            yield datetime.fromisoformat(record["recorded_at"]), row


DOLLAR_QUOTES = [
    (at, row)
    for at, row in recorded()
    if row.get("currency") == "USD" and row["quoteType"] in ("EQUITY", "ETF") and "regularMarketPrice" in row
]


@pytest.fixture
def writer(sqlite_file: Path) -> Iterator[Writer]:
    url = f"sqlite:///{sqlite_file}"
    with closing(Writer.open(url, service="test", origin="live", clock=StillClock())) as opened:
        yield opened


def table_row(sqlite_file: Path, ticker: str, at: datetime) -> dict[str, Any]:
    engine = open_reader_engine(f"sqlite:///{sqlite_file}", service="test")
    try:
        rows, unknown = read_quotes(engine, [ticker], at=at)
    finally:
        engine.dispose()
    assert unknown == []
    return rows[0]


def list_ticker(writer: Writer, ticker: str) -> None:
    load_universe(writer, [Listing(ticker=ticker)])


def expected_size(row: dict[str, Any], key: str) -> int | None:
    if not row.get(key):
        return None
    if row["exchange"] not in IN_LOTS:
        return int(row[key])
    return int(row[key]) * 100 if row["regularMarketPrice"] < 200 else None


def expected_earnings(row: dict[str, Any], at: datetime) -> date | None:
    start = row.get("earningsTimestampStart")
    if start is None or datetime.fromtimestamp(start, UTC) < at:
        return None
    return (datetime.fromtimestamp(start, UTC) - timedelta(hours=5)).date()  # none of them is near midnight in New York


@pytest.mark.parametrize(
    ("at", "row"), DOLLAR_QUOTES, ids=lambda each: each["symbol"] if isinstance(each, dict) else ""
)
def test_each_field_of_a_recorded_quote_stands_in_the_table_as_recorded(
    writer: Writer, sqlite_file: Path, at: datetime, row: dict[str, Any]
) -> None:
    ticker = row["symbol"]
    list_ticker(writer, ticker)
    body = json.dumps({"quoteResponse": {"result": [row], "error": None}}).encode()
    quotes = parse_answer(body, asked=[ticker], at=at).quotes
    assert [why_refused(quote, at=at) for quote in quotes] == [None]
    write_quotes(writer, quotes, at=at, session_opens_at=None, session_closes_at=None)
    stored = table_row(sqlite_file, ticker, at)
    assert {column: stored[column] for column in SAME} == {
        column: (row.get(key) or None) if column in ZERO_IS_NOT_KNOWN else row.get(key) for column, key in SAME.items()
    }
    assert stored["company_name"] == (row.get("longName") or row.get("shortName"))
    assert stored["price_time"] == datetime.fromtimestamp(row["regularMarketTime"], UTC)
    assert stored["bid_price"] == (row.get("bid") or None)  # 0 says that there is no bid
    assert stored["ask_price"] == (row.get("ask") or None)
    assert stored["bid_size"] == expected_size(row, "bidSize")
    assert stored["ask_size"] == expected_size(row, "askSize")
    assert stored["next_earnings_date"] == expected_earnings(row, at)
    percent = row.get("dividendYield")
    assert stored["dividend_yield"] == (None if percent is None else pytest.approx(percent / 100))
    assert (stored["metrics_updated_at"], stored["price_updated_at"], stored["price_source"]) == (at, at, "quote")


def test_recorded_quotes_in_another_currency_are_refused_by_name() -> None:
    foreign = [(at, row) for at, row in recorded() if row.get("currency") not in (None, "USD")]
    assert len(foreign) > 20
    for at, row in foreign:
        body = json.dumps({"quoteResponse": {"result": [row], "error": None}}).encode()
        for quote in parse_answer(body, asked=[row["symbol"]], at=at).quotes:
            assert why_refused(quote, at=at) == "currency"


def test_a_delisted_ticker_answered_by_an_empty_shell_is_missing_and_writes_nothing() -> None:
    shells = [(at, row) for at, row in recorded() if row["quoteType"] == "NONE"]
    assert {row["symbol"] for _, row in shells} == {"BRKS", "SIMP"}
    for at, row in shells:
        body = json.dumps({"quoteResponse": {"result": [row], "error": None}}).encode()
        answer = parse_answer(body, asked=[row["symbol"]], at=at)
        assert (answer.quotes, answer.missing) == ((), (row["symbol"],))


FRAMES = json.loads((DATA / "pricing_frames.json").read_text(encoding="utf-8"))


def session_around(tick: Tick) -> Session:
    """A session in which the trade is what its own flag says: before it, in it, or after it."""
    begins = {0: timedelta(hours=1), 1: timedelta(hours=-1)}.get(tick.market_hours or 0, timedelta(hours=-3))
    opens_at = tick.price_time + begins
    return Session(session_date=opens_at.date(), opens_at=opens_at, closes_at=opens_at + timedelta(hours=2))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["decoded"]["id"])
def test_each_field_of_a_recorded_frame_stands_in_the_table_as_recorded(
    writer: Writer, sqlite_file: Path, frame: dict[str, Any]
) -> None:
    decoded = frame["decoded"]
    list_ticker(writer, decoded["id"])
    envelope = json.dumps({"type": "pricing", "message": frame["message"]})
    tick = FrameParser().parse(envelope)
    assert tick is not None
    session = session_around(tick)
    book = PriceBook([tick.ticker])
    book.offer(tick, [session], now=tick.price_time, now_s=0.0)
    rows = book.take()
    flush_prices(writer, rows, price_source="stream", session_opens_at=session.opens_at)
    stored = table_row(sqlite_file, tick.ticker, tick.price_time)
    regular = frame["market_hours"] == 1
    # `decoded` shows the float32 at its shortest, so equality proves that no noise got through.
    assert stored["current_price"] == (decoded["price"] if regular else None)
    assert stored["price_change"] == (decoded["change"] if regular else None)
    assert stored["price_change_percent"] == (decoded["change_percent"] if regular else None)
    assert stored["price_time"] == (datetime.fromtimestamp(int(decoded["time"]) / 1000, UTC) if regular else None)
    assert stored["volume"] is None  # the stream's day volume is not the metrics group's


def test_the_recordings_hold_every_case_that_the_table_must_survive() -> None:
    assert {frame["market_hours"] for frame in FRAMES} == {0, 1, 2, 4}
    assert any(frame["unknown_fields"] for frame in FRAMES)
    assert len(DOLLAR_QUOTES) > 60
    assert all(base64.b64decode(frame["message"]) for frame in FRAMES)
