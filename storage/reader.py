"""Reads what others show: quotes with their ages, changes as they come, the origin. Never writes or waits for a writer.

`Reader` is also for programs of yours, a web site say, on the same machine or on another one (PostgreSQL):

    from storage.reader import Reader

    with Reader("sqlite:////srv/tickerd/tickerd.db") as reader:
        seq = 0
        while True:
            changes = reader.changes(seq, columns=("current_price", "price_time"))
            for row in changes.rows:
                publish(row["ticker"], row["current_price"])
            seq = changes.seq
            time.sleep(0.2)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Self, cast

from sqlalchemy import Boolean, Connection, Date, Engine, select

from core.clock import Clock, SystemClock
from core.errors import TickerdError
from storage import schema_version
from storage.coverage import read_coverage
from storage.engine import file_id, open_reader_engine, translate
from storage.queries import query
from storage.schema import UtcTime, app_meta, stocks_stock

GROUPS = ("price", "metrics", "daily")
VALUES_A_STATEMENT = 500  # an old SQLite takes at most 999 parameters


def read_quotes(engine: Engine, tickers: Sequence[str], *, at: datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """Return (rows, unknown): each row every column of `stocks_stock` and the age of each group in seconds at `at`.

    Both in the order asked; an age is None where the group was never written.
    """
    asked = list(dict.fromkeys(tickers))
    found: dict[str, dict[str, Any]] = {}
    with engine.connect() as connection:
        for start in range(0, len(asked), VALUES_A_STATEMENT):
            wanted = select(stocks_stock).where(stocks_stock.c.ticker.in_(asked[start : start + VALUES_A_STATEMENT]))
            found |= {row["ticker"]: dict(row) | _ages(row, at) for row in connection.execute(wanted).mappings()}
    return [found[ticker] for ticker in asked if ticker in found], [ticker for ticker in asked if ticker not in found]


def _ages(row: Any, at: datetime) -> dict[str, float | None]:
    times = {group: row[f"{group}_updated_at"] for group in GROUPS}
    return {f"{group}_age_s": (at - time).total_seconds() if time else None for group, time in times.items()}


def read_origin(engine: Engine) -> str | None:
    """Return "live" or "practice"; None before the first write."""
    with engine.connect() as connection:
        return connection.execute(select(app_meta.c.value).where(app_meta.c.key == "origin")).scalar_one_or_none()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Rows of `stocks_stock` in the order of their change_seq; `seq`: give it to the next call."""

    rows: list[dict[str, Any]]
    seq: int


class Reader:
    """A read-only client of one database, usable by any of a process's threads. RetryLater: the database is away."""

    def __init__(self, url: str, *, service: str = "reader", clock: Clock | None = None) -> None:
        """`url` as in `[database] url`; FixByHand if the schema is not this program's."""
        self._url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self._service, self._clock = service, clock or SystemClock()
        schema_version.require_current(self._url)
        self._file_id = file_id(self._url)
        self._engine = open_reader_engine(self._url, service=service)
        self._polled: Any = None
        self._polling = threading.Lock()

    def close(self) -> None:
        self._let_go()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seq(self) -> int:
        """Return the number of the newest committed write: one row read, so poll it as often as you like."""
        engine = self.engine()
        sql = query("newest_seq", engine.dialect.name)
        with self._polling:
            try:
                return self._ask(engine, sql)
            except TickerdError:  # the connection may be from before a restart of the server
                return self._ask(engine, sql)

    def _ask(self, engine: Engine, sql: str) -> int:
        """Ask on a connection kept open, without SQLAlchemy: a third of the cost of a poll that finds nothing new."""
        try:
            self._polled = self._polled or _driver_connection(engine)
            cursor = self._polled.cursor()
            cursor.execute(sql)
            newest = cursor.fetchone()[0]
        except Exception as error:
            self._forget()
            raise translate(error, self._url) or error from error
        return int(newest)

    def changes(self, since: int, *, limit: int | None = None, columns: Sequence[str] | None = None) -> Changes:
        """Return each row whose values changed after write `since` (0: every row), as it is now.

        `columns`: only these, with `ticker` and `change_seq`: the fewer, the cheaper. `limit`: about so many rows;
        a write is never cut in two, so ask again until `seq` stands still. A row that is only confirmed unchanged
        does not come. If the table is younger than `since`, because a backup was restored, every row comes and
        `seq` goes back.
        """
        names = _names(columns)
        newest = self.seq()
        if newest == since:
            return Changes(rows=[], seq=since)
        with self.engine().connect() as connection:
            # Writers commit one after the other: what is at or below `newest` is visible now. What is written from
            # here on carries a greater number and comes with a later call.
            start = since if since < newest else 0
            until = newest if limit is None else _cut(connection, start, newest, limit)
            wanted = (
                f"SELECT {', '.join(names)} FROM stocks_stock WHERE change_seq > {start:d} AND change_seq <= {until:d}"
            )
            # The driver's own cursor: SQLAlchemy's rows around its tuples would double the time.
            cursor = cast(Iterable[Sequence[Any]], connection.exec_driver_sql(wanted).cursor)
            rows = _rows(names, cursor, connection.dialect.name)
        return Changes(rows=rows, seq=until)

    def quotes(self, tickers: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return (rows, unknown): every column of these tickers with the ages of their groups in seconds."""
        return read_quotes(self.engine(), tickers, at=self._clock.utc_now())

    def coverage(self) -> dict[str, dict[str, Any]]:
        """Return for each group of fields how many tickers are fresh, and ages; see `tickerd coverage --json`."""
        return read_coverage(self.engine(), at=self._clock.utc_now())

    def engine(self) -> Engine:
        """Return the engine, opened anew if the SQLite file was replaced: the old one would show the old file."""
        found = file_id(self._url)
        if found != self._file_id:
            schema_version.require_current(self._url)
            self._let_go()
            self._engine.dispose()
            self._file_id = found
        return self._engine

    def _let_go(self) -> None:
        with self._polling:
            self._forget()

    def _forget(self) -> None:
        if self._polled is not None:
            self._polled.close()
            self._polled = None


def _driver_connection(engine: Engine) -> Any:
    """Return a connection of the driver, each statement a transaction of its own; the pool no longer knows it."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    if engine.dialect.name == "postgresql":
        connection.autocommit = True
    return connection


def _cut(connection: Connection, start: int, newest: int, limit: int) -> int:
    """Return the number of the write that the row in place `limit` belongs to, `newest` if there are fewer."""
    place = {"since": start, "newest": newest, "skip": max(limit, 1) - 1}
    found = connection.exec_driver_sql(query("change_in_place", connection.dialect.name), place)
    return int(found.scalar_one_or_none() or newest)


def _names(columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns to read; ValueError for one that the table has not, which also keeps SQL out of the names."""
    known = stocks_stock.columns.keys()
    unknown = [name for name in columns or () if name not in known]
    if unknown:
        raise ValueError(f"stocks_stock has no column {', '.join(unknown)}")
    return tuple(known if columns is None else dict.fromkeys(("ticker", "change_seq", *columns)))


def _rows(names: tuple[str, ...], found: Iterable[Sequence[Any]], dialect: str) -> list[dict[str, Any]]:
    """Return dicts in the order of their change_seq.

    Sorting here and reading SQLite's texts here cost a fifth of what the database and SQLAlchemy's rows would.
    """
    # One tuple at a time: thousands of them at once would set the garbage collector to work for as long again.
    rows = [dict(zip(names, values)) for values in found]  # noqa: B905  (strict costs a third)
    rows.sort(key=itemgetter("change_seq"))
    if dialect == "sqlite":
        for name, read in _conversions(names):
            for row in rows:
                if row[name] is not None:
                    row[name] = read(row[name])
    return rows


def _conversions(names: Sequence[str]) -> list[tuple[str, Callable[[Any], Any]]]:
    kinds: tuple[tuple[type, Callable[[Any], Any]], ...] = (
        (UtcTime, lambda text: datetime.fromisoformat(text + "+00:00")),
        (Date, date.fromisoformat),
        (Boolean, bool),
    )
    return [(name, read) for name in names for kind, read in kinds if isinstance(stocks_stock.c[name].type, kind)]
