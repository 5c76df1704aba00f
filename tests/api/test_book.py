from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from structlog.testing import capture_logs

from api.book import POLL_S, TIMES_S, Book
from api.sql import Database
from core.clock import SystemClock
from storage.schema import stocks_stock
from storage.writer import Writer
from tests.fix_clock import FakeClock

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
TICKERS = ("A", "B", "C", "D")


class Table:
    """The table beside the book, written as the scanners write it."""

    def __init__(self, url: str) -> None:
        self.writer = Writer.open(url, service="test", origin=None, clock=SystemClock())
        rows = [{"ticker": ticker, "current_price": 1.0, "is_listed": True} for ticker in TICKERS]

        def body(tx: Any) -> None:
            tx.connection.execute(insert(stocks_stock), [row | {"change_seq": tx.seq} for row in rows])
            tx.wrote(len(rows))

        self.writer.run(body, source="prices")

    def price(self, ticker: str, price_usd: float) -> None:
        def body(tx: Any) -> None:
            row = update(stocks_stock).where(stocks_stock.c.ticker == ticker)
            tx.connection.execute(row.values(current_price=price_usd, price_updated_at=AT, change_seq=tx.seq))
            tx.wrote(1)

        self.writer.run(body, source="prices")

    def confirm(self, ticker: str, at: datetime) -> None:
        row = update(stocks_stock).where(stocks_stock.c.ticker == ticker).values(price_updated_at=at)
        self.writer.run(lambda tx: tx.connection.execute(row), source="prices")


@pytest.fixture
def table(sqlite_file: Path) -> Table:
    return Table(f"sqlite:///{sqlite_file}")


@pytest.fixture
async def book(table: Table, sqlite_file: Path) -> AsyncIterator[Book]:
    database = Database(f"sqlite:///{sqlite_file}", SystemClock())
    yield Book(database, FakeClock())
    database.close()


def rows_of(book: Book, *tickers: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in book.rows(tickers)[0]]


async def test_it_holds_each_row_as_json_and_knows_which_tickers_there_are(book: Book) -> None:
    assert not book.filled.is_set()
    await book.catch_up()
    assert book.filled.is_set() and book.tickers == list(TICKERS)
    (row,) = rows_of(book, "A")
    assert (row["ticker"], row["current_price"], row["price_updated_at"]) == ("A", 1.0, None)
    assert book.rows(["C", "X", "C"])[1] == ["X"]


async def test_a_page_begins_behind_a_ticker_that_need_not_be_there(book: Book) -> None:
    await book.catch_up()
    rows, last = book.page(after="", limit=3)
    assert ([json.loads(row)["ticker"] for row in rows], last) == (["A", "B", "C"], "C")
    rows, last = book.page(after="BB", limit=3)
    assert ([json.loads(row)["ticker"] for row in rows], last) == (["C", "D"], None)
    assert book.page(after="Z", limit=3) == ([], None)


async def test_a_change_comes_to_the_listeners_and_makes_the_tag_new(book: Book, table: Table) -> None:
    await book.catch_up()
    heard: list[list[dict[str, Any]]] = []
    book.listeners.append(heard.append)
    tag = book.tag
    await book.catch_up()
    assert book.tag == tag and heard == []
    table.price("B", 2.5)
    await book.catch_up()
    assert book.tag != tag
    assert [[(row["ticker"], row["current_price"]) for row in rows] for rows in heard] == [[("B", 2.5)]]
    assert rows_of(book, "B")[0]["price_updated_at"] == "2026-11-23T14:30:00.000Z"


async def test_a_row_that_is_only_confirmed_gets_its_new_time(book: Book, table: Table) -> None:
    table.price("B", 2.5)
    await book.catch_up()
    tag = book.tag
    table.confirm("B", AT + timedelta(minutes=1))
    await book.catch_up()
    assert book.tag == tag, "the change feed does not tell it"
    await book.renew_times()
    (row,) = rows_of(book, "B")
    assert (row["current_price"], row["price_updated_at"]) == (2.5, "2026-11-23T14:31:00.000Z")
    assert book.tag != tag
    tag = book.tag
    await book.renew_times()
    assert book.tag == tag


async def test_it_goes_on_when_the_database_was_away_and_says_so_once(
    book: Book, table: Table, sqlite_file: Path
) -> None:
    clock = FakeClock()
    book._clock = clock
    away = sqlite_file.with_name("away.db")
    with capture_logs() as lines:
        following = asyncio.ensure_future(book.follow())
        await _eventually(book.filled.is_set)
        sqlite_file.rename(away)
        await _turns(clock, lambda: bool(lines))
        await _turns(clock, lambda: True)
        away.rename(sqlite_file)
        table.price("A", 9.0)
        await _turns(clock, lambda: rows_of(book, "A")[0]["current_price"] == 9.0)
        following.cancel()
    assert [line["event"] for line in lines] == ["quotes_stand_still"]


async def test_after_a_backup_was_restored_only_its_tickers_are_there(
    book: Book, table: Table, sqlite_file: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    with sqlite3.connect(sqlite_file) as here, sqlite3.connect(backup) as there:
        here.backup(there)

    def rename(tx: Any) -> None:
        row = update(stocks_stock).where(stocks_stock.c.ticker == "D")
        tx.connection.execute(row.values(ticker="E", change_seq=tx.seq))
        tx.wrote(1)

    table.writer.run(rename, source="prices")
    await book.catch_up()
    assert book.tickers == ["A", "B", "C", "E"]
    table.writer.close()
    for journal in ("-wal", "-shm"):
        Path(f"{sqlite_file}{journal}").unlink(missing_ok=True)
    backup.replace(sqlite_file)
    await book.catch_up()
    assert book.tickers == list(TICKERS) and len(book.page(after="", limit=10)[0]) == 4


def test_no_tag_of_the_process_before_is_one_of_this_one(book: Book) -> None:
    assert Book(book._database, book._clock).tag != book.tag


async def _turns(clock: FakeClock, true: Any) -> None:
    for _ in range(int(3 * TIMES_S / POLL_S)):
        await clock.advance(POLL_S)
        await asyncio.to_thread(lambda: None)
        if true():
            return
    await _eventually(true)


async def _eventually(true: Any) -> None:
    async with asyncio.timeout(30):
        while not true():
            await SystemClock().sleep(0.01)
