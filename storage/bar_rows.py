"""Reads daily bars and live quotes in bulk, as the driver's own tuples. Never writes, keeps no more than a batch.

SQLAlchemy's rows would take four times as long for the 2 million bars of a year, mapped objects twenty times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine

from core.errors import TickerdError
from storage.engine import translate
from storage.queries import query
from storage.schema import parameter

ROWS_A_BATCH = 5_000
BULK_TIMEOUT_S = 300.0  # of a statement on PostgreSQL: the marks of some million bars, on a busy machine
BarRow = tuple[str, Any, float, float, float, float, int | None]
"""(ticker, session date, open, high, low, close, volume); SQLite gives the date as text."""
Mark = tuple[str, int, Any, float, float]
"""(ticker, bars, newest session, sum over prices by day, sum over volumes): what tells that a ticker's bars changed."""
QUOTE_COLUMNS = (
    *("ticker", "price", "open", "high", "low", "volume", "price_time", "day_time", "previous_close", "change_seq"),
)


@contextmanager
def _cursor(engine: Engine, name: str, values: dict[str, Any]) -> Iterator[Any]:
    """A cursor of the driver that holds the statement's rows, but not all of them in this process."""
    sql = query(name, engine.dialect.name)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            yield connection.exec_driver_sql(sql, values).cursor
            return
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{BULK_TIMEOUT_S:g}s'")
        driver: Any = connection.connection.driver_connection
        with driver.cursor(name="bar_rows") as cursor:  # named: the rows stay at the server
            cursor.execute(sql, values)
            yield cursor


def _batches(engine: Engine, name: str, values: dict[str, Any] | None = None) -> Iterator[list[Any]]:
    try:
        with _cursor(engine, name, values or {}) as cursor:
            while rows := cursor.fetchmany(ROWS_A_BATCH):
                yield rows
    except TickerdError:
        raise
    except Exception as error:
        raise translate(error, str(engine.url)) or error from error


def read_all_bars(engine: Engine, *, since: date) -> Iterator[list[BarRow]]:
    """Give every bar from session `since` on, in batches, in no order that can be relied on: to sort costs more."""
    yield from _batches(engine, "all_daily_bars", {"since": parameter(since, engine.dialect.name)})


def read_bars_of(engine: Engine, tickers: Iterable[str]) -> Iterator[tuple[str, list[BarRow]]]:
    """Give (ticker, all its bars by date) for each."""
    sql = query("daily_bars_of", engine.dialect.name)
    with engine.connect() as connection:
        for ticker in tickers:
            yield ticker, list(connection.exec_driver_sql(sql, {"ticker": ticker}).cursor.fetchall())


def read_marks(engine: Engine) -> list[Mark]:
    """Return the mark of each ticker that has bars. It reads the whole table: ask `bars_write` first."""
    return [row for batch in _batches(engine, "daily_bar_marks") for row in batch]


def bars_write(engine: Engine) -> str:
    """Return number and time of the newest write of daily bars, "" before the first; one row is read.

    The time, because the numbers of another database, or of one that was made anew, are the same.
    """
    with engine.connect() as connection:
        row = connection.exec_driver_sql(query("daily_bars_write", engine.dialect.name)).one_or_none()
    return "" if row is None else f"{row[0]} {row[1]}"


def read_unlisted(engine: Engine) -> set[str]:
    """Return the tickers that were dropped from the universe."""
    return {row[0] for batch in _batches(engine, "unlisted_tickers") for row in batch}


def read_quotes_since(engine: Engine, seq: int) -> tuple[list[tuple[Any, ...]], int]:
    """Return (rows with QUOTE_COLUMNS, newest seq): every priced ticker whose row changed after write `seq`."""
    rows = [row for batch in _batches(engine, "quotes_since", {"seq": seq}) for row in batch]
    return rows, max((row[-1] for row in rows), default=seq)


def moment(value: Any) -> datetime | None:
    """Return a time of these rows as an aware one; SQLite gives text."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value + "+00:00")


def quotes_of_session(rows: Sequence[tuple[Any, ...]], *, opens_at: datetime, dialect: str) -> list[tuple[Any, ...]]:
    """Return (ticker, open, high, low, price, volume, previous close) of quotes with a price of the session that opened
    then.

    High and low are of the price's session. Open, volume and the close before it come with the metrics: they are not
    known until those were written in this session, and of a ticker that had not traded by then, whose open lies outside
    the range. The price then stands for the open.
    """
    start = parameter(opens_at, dialect)
    current = []
    for ticker, price, first, high, low, volume, price_time, day_time, previous, _ in rows:
        if price_time is None or price_time < start:
            continue
        top, bottom = max(price, high or price), min(price, low or price)
        told = day_time is not None and day_time >= start
        if not told or first is None or not bottom <= first <= top:
            first, volume = price, None
        current.append((ticker, first, top, bottom, price, volume, previous if told else None))
    return current
