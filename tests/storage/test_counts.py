from __future__ import annotations

from contextlib import closing
from datetime import timedelta

from market.quotes import Quote
from market.universe import Listing
from storage.counts import FreshCounts, count_fresh, read_confirmed, read_price_times
from storage.engine import open_reader_engine
from storage.prices import PriceRow, flush_prices
from storage.quotes import write_quotes
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock


def test_only_what_was_confirmed_since_the_given_moment_counts_as_fresh(database_url: str) -> None:
    clock = StillClock()
    with closing(Writer.open(database_url, service="test", origin="live", clock=clock)) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("AAPL", "MSFT", "NVDA")])
        for minute, ticker in enumerate(("AAPL", "MSFT")):
            clock.at = NOON + timedelta(minutes=minute)
            row = PriceRow(ticker=ticker, price_usd=10.0, price_time=clock.at)
            flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
        quote = Quote(ticker="NVDA", volume=5)
        write_quotes(writer, [quote], at=NOON, session_opens_at=None, session_closes_at=None)
    engine = open_reader_engine(database_url, service="test")
    try:
        counted = [count_fresh(engine, since=NOON + timedelta(seconds=seconds)) for seconds in (0, 30, 90)]
    finally:
        engine.dispose()
    assert counted == [
        FreshCounts(total=3, priced=2, with_metrics=1),
        FreshCounts(total=3, priced=1, with_metrics=0),
        FreshCounts(total=3, priced=0, with_metrics=0),
    ]


def test_the_table_says_which_rows_it_took(database_url: str) -> None:
    with closing(Writer.open(database_url, service="test", origin="live", clock=StillClock())) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("AAPL", "MSFT")])
        row = PriceRow(ticker="AAPL", price_usd=10.0, price_time=NOON)
        flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
        quote = Quote(ticker="MSFT", volume=5)
        write_quotes(writer, [quote], at=NOON, session_opens_at=None, session_closes_at=None)
        asked = ("AAPL", "MSFT", "NONE")
        assert writer.run(lambda tx: read_price_times(tx, asked), source="test") == {"AAPL": NOON, "MSFT": None}
        assert writer.run(lambda tx: read_confirmed(tx, asked, at=NOON), source="test") == {"MSFT"}
