from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.clock import SystemClock
from market.quotes import Quote
from market.universe import Listing
from storage.engine import open_reader_engine
from storage.prices import PriceRow, flush_prices
from storage.quotes import write_quotes
from storage.universe import load_universe
from storage.witness import read_known, read_prices
from storage.writer import Writer

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
AT = OPEN + timedelta(hours=1)


def test_the_stream_speaks_before_an_answer_and_neither_of_another_session(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with Writer.open(url, service="test", origin="practice", clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=each) for each in ("AAPL", "MSFT", "OLD", "NEW")])
        quotes = [
            Quote(ticker="AAPL", previous_close=99.0, open_price=100.0, shares_outstanding=7),
            Quote(ticker="MSFT", previous_close=50.0, current_price=51.0, price_time=AT),
        ]
        write_quotes(writer, quotes, at=AT, session_opens_at=OPEN, session_closes_at=None)
        old = Quote(ticker="OLD", previous_close=5.0, current_price=5.0, price_time=OPEN - timedelta(days=1))
        before = OPEN - timedelta(days=1)
        write_quotes(writer, [old], at=before, session_opens_at=before, session_closes_at=None)
        streamed = PriceRow(ticker="AAPL", price_usd=230.0, change=2.0, change_percent=0.88, price_time=AT, heard_at=AT)
        flush_prices(writer, [streamed], price_source="stream", session_opens_at=OPEN)
    engine = open_reader_engine(url, service="test")
    known = read_known(engine, since=OPEN)
    assert sorted(known) == ["AAPL", "MSFT"]
    assert known["AAPL"] == Quote(
        ticker="AAPL",
        previous_close=228.0,
        open_price=100.0,
        shares_outstanding=7,
        current_price=230.0,
        price_time=AT,
        days_low=230.0,
        days_high=230.0,
    )
    # The price of an answer is no second source for an answer.
    assert known["MSFT"] == Quote(ticker="MSFT", previous_close=50.0)
    assert read_prices(engine, since=OPEN) == {"AAPL": 230.0, "MSFT": 51.0}
    engine.dispose()
