from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Column, insert

from api.problems import Problem
from api.sql import Database, Listing, decode_cursor, encode_cursor, read_page
from core.clock import SystemClock
from storage.engine import open_reader_engine
from storage.schema import signals, stocks_stock
from storage.writer import Writer

AT = datetime(2026, 11, 23, 14, 30, 0, 123456, tzinfo=UTC)
STOCK, SIGNAL = stocks_stock.c, signals.c


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """A database of each kind: five tickers, three of one volume and one without; four signals of two moments."""
    volumes = {"A": 10, "B": 30, "C": 10, "D": None, "E": 10}
    stocks = [{"ticker": name, "volume": volume, "is_listed": name != "C"} for name, volume in volumes.items()]
    base = {"scan": "s", "scan_id": "x", "session": AT.date(), "status": "active", "updated_at": AT}
    found = [{**base, "symbol": f"S{n}", "created_at": AT + timedelta(seconds=n // 2)} for n in range(4)]
    with Writer.open(database_url, service="test", origin=None, clock=SystemClock()) as writer:
        writer.run(lambda tx: tx.connection.execute(insert(stocks_stock), stocks), source="test")
        writer.run(lambda tx: tx.connection.execute(insert(signals), found), source="test")
    yield database_url


def walked(url: str, listing: Listing, *, limit: int) -> list[list[object]]:
    """Return every page of a list, the first column of each row."""
    engine, cursor = open_reader_engine(url, service="test"), ""
    pages: list[list[object]] = []
    while True:
        page = read_page(engine, listing, limit=limit, cursor=cursor)
        pages.append([row[0] for row in page.rows])
        if page.next is None:
            engine.dispose()
            return pages
        cursor = page.next


def test_pages_follow_each_other_by_the_key_whatever_its_kind(url: str) -> None:
    by_ticker = Listing(columns=[STOCK.ticker], key=(STOCK.ticker,))
    assert walked(url, by_ticker, limit=2) == [["A", "B"], ["C", "D"], ["E"]]
    by_volume = Listing(columns=[STOCK.ticker], key=(STOCK.volume, STOCK.ticker), falling=True)
    assert walked(url, by_volume, limit=2) == [["B", "E"], ["C", "A"]], "D has no volume"
    newest = Listing(columns=[SIGNAL.symbol], key=(SIGNAL.created_at, SIGNAL.id), falling=True)
    assert walked(url, newest, limit=3) == [["S3", "S2", "S1"], ["S0"]]
    by_yes_or_no = Listing(columns=[STOCK.ticker], key=(STOCK.is_listed, STOCK.ticker))
    assert walked(url, by_yes_or_no, limit=2) == [["C", "A"], ["B", "D"], ["E"]], "C alone is not listed"
    some = Listing(columns=[STOCK.ticker], key=(STOCK.ticker,), where=[STOCK.volume == 10])
    assert walked(url, some, limit=1000) == [["A", "C", "E"]]


def test_a_key_comes_out_of_a_cursor_as_it_went_in() -> None:
    key = (SIGNAL.created_at, SIGNAL.session, SIGNAL.entry_price, SIGNAL.symbol, SIGNAL.id, STOCK.is_listed)
    values = [AT, AT.date(), 1.5, "A", 7, False]
    assert decode_cursor(encode_cursor(values), key) == values
    assert decode_cursor(encode_cursor([2]), (SIGNAL.entry_price,)) == [2.0], "JSON knows no 2.0"


@pytest.mark.parametrize(
    "given",
    ["x", "!!!!", "[]", "[1,2]", "[1]", '["a\\u0000"]', "[null]", "[true]", '[{"a":1}]', "{}", "[[1]]"],
)
def test_a_cursor_that_is_not_of_this_list_is_a_problem(given: str) -> None:
    cursor = given if given[0] in "x!" else base64.urlsafe_b64encode(given.encode()).decode()
    with pytest.raises(Problem, match="cursor_invalid"):
        decode_cursor(cursor, (STOCK.ticker,))


@pytest.mark.parametrize("given", ['["2026-11-23T14:30:00"]', '["0001-01-01T00:00:00+23:59"]', '["noon"]', "[5]"])
def test_a_moment_of_a_cursor_that_is_none_is_a_problem(given: str) -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        decode_cursor(base64.urlsafe_b64encode(given.encode()).decode(), (SIGNAL.created_at,))


def test_a_number_that_no_column_holds_is_a_problem() -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        decode_cursor(base64.urlsafe_b64encode(b"[9223372036854775808]").decode(), (SIGNAL.id,))


async def test_reads_have_one_thread_and_writes_another(url: str) -> None:
    database = Database(url, SystemClock())
    reading = {await database.read(lambda _engine: threading.current_thread()) for _ in range(3)}
    writing = {await database.write(lambda _writer: threading.current_thread()) for _ in range(3)}
    assert len(reading) == len(writing) == 1 and reading != writing
    assert threading.current_thread() not in reading | writing
    database.close()


@pytest.mark.parametrize(("given", "column"), [(b"[true]", STOCK.volume), (b"[1]", STOCK.is_listed)])
def test_a_number_is_no_yes_or_no(given: bytes, column: Column[Any]) -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        decode_cursor(base64.urlsafe_b64encode(given).decode(), (column,))
