from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from core.errors import RetryLater
from market.quotes import Quote, Tick
from scanners.prices.book import PriceBook
from scanners.prices.table import Table
from storage.prices import PriceRow, flush_prices
from storage.writer import Writer
from tests.fix_scanners import MONDAY, NOON, Stage

SECOND = timedelta(seconds=1)


class Flushed:
    """A book and its way to the table, without connections."""

    def __init__(self, stage: Stage, writer: Writer) -> None:
        self.context = stage.context("prices")
        self.writer = writer
        self.book = PriceBook(stage.tickers)
        self.table = Table(self.context, writer, self.book)

    def hear(self, ticker: str, price: float, *, second: int = 0) -> None:
        tick = Tick(ticker=ticker, price=price, price_time=NOON + second * SECOND)
        self.book.offer(tick, (MONDAY,), now=NOON + second * SECOND, now_s=1.0)

    def ask(self, ticker: str, price: float, *, second: int = 0) -> None:
        quote = Quote(ticker=ticker, current_price=price, price_time=NOON + second * SECOND)
        self.book.offer_quote(quote, (MONDAY,), now_s=1.0)

    async def flush(self) -> RetryLater | None:
        return await self.table.flush((MONDAY,))


@pytest_asyncio.fixture
async def flushed(still_stage: Stage) -> AsyncIterator[Flushed]:
    writer = Writer.open(
        f"sqlite:///{still_stage.file}",
        service="test",
        origin="practice",
        clock=still_stage.clock,
        busy_timeout_s=0.05,
        wait=lambda _s: None,
    )
    with writer:
        yield Flushed(still_stage, writer)


async def test_each_source_stands_with_its_price(still_stage: Stage, flushed: Flushed) -> None:
    flushed.hear("AAPL", 100.5)
    flushed.ask("MSFT", 200.5)
    assert await flushed.flush() is None
    held = still_stage.stocks("current_price IS NOT NULL")
    assert {name: (row["current_price"], row["price_source"]) for name, row in held.items()} == {
        "AAPL": (100.5, "stream"),
        "MSFT": (200.5, "quote"),
    }
    assert flushed.table.written == {"AAPL", "MSFT"}


async def test_what_came_while_the_database_was_away_is_written_when_it_is_back(
    still_stage: Stage, flushed: Flushed
) -> None:
    flushed.hear("AAPL", 100.5)
    flushed.ask("MSFT", 200.5)
    with closing(sqlite3.connect(still_stage.file, isolation_level=None)) as other, capture_logs() as logs:
        other.execute("BEGIN IMMEDIATE")
        assert isinstance(await flushed.flush(), RetryLater)
        assert "unreachable since 2026-11-23T17:00:0" in flushed.context.pulse.facts["database"]
        assert flushed.table.written == set()
        flushed.hear("AAPL", 100.6, second=1)
        assert isinstance(await flushed.flush(), RetryLater)
        other.execute("ROLLBACK")
        assert await flushed.flush() is None
    prices = {name: row["current_price"] for name, row in still_stage.stocks("current_price IS NOT NULL").items()}
    assert prices == {"AAPL": 100.6, "MSFT": 200.5}
    assert flushed.context.pulse.facts["database"] == "reachable"
    assert [each["event"] for each in logs if each["event"].startswith("database")] == [
        "database_unreachable",
        "database_reached",
    ]


@pytest.mark.parametrize("source", ["stream", "quote"])
async def test_a_newer_price_in_the_table_is_never_replaced(still_stage: Stage, flushed: Flushed, source: str) -> None:
    newer = PriceRow(ticker="AAPL", price_usd=77.0, price_time=NOON + 30 * SECOND)
    flush_prices(flushed.writer, [newer], price_source="stream", session_opens_at=MONDAY.opens_at)
    (flushed.hear if source == "stream" else flushed.ask)("AAPL", 100.5)
    assert await flushed.flush() is None
    assert still_stage.stocks()["AAPL"]["current_price"] == 77.0
    assert flushed.book.refused == ({"by_table": 1} if source == "stream" else {})


async def test_a_quote_of_a_former_session_begins_no_day(still_stage: Stage, flushed: Flushed) -> None:
    """Days before any session of ours, as at the start of a list of sessions."""
    quote = Quote(ticker="AAPL", current_price=100.5, price_time=NOON - timedelta(days=3))
    flushed.book.offer_quote(quote, (), now_s=1.0)
    assert await flushed.table.flush(()) is None
    assert still_stage.stocks()["AAPL"]["current_price"] == 100.5


async def test_nothing_new_is_no_transaction(still_stage: Stage, flushed: Flushed) -> None:
    assert await flushed.flush() is None
    assert still_stage.rows("SELECT * FROM change_marker WHERE source = 'prices'") == []
