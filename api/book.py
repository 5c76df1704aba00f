"""The newest quotes as bytes, a row a ticker, so that a page of a hundred is a join. Follows the table; never writes.

A row whose values changed comes with the change feed; one that was only confirmed has new times and nothing else.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Any

from sqlalchemy import Engine, select

from api.answers import encode
from api.schemas import QUOTE_COLUMNS, TIME_COLUMNS
from api.sql import Database
from core.clock import Clock
from core.errors import TickerdError
from core.logs import Sparing, get_logger
from storage.reader import Changes
from storage.schema import stocks_stock

POLL_S = 0.2
TIMES_S = 2.0
"""How often the times of rows that were only confirmed are read: 8,800 rows of five columns, some 10 ms."""
BATCH_ROWS = 500
"""Rows of one look at the changes: the loop gets its turn in between."""
SAID_EVERY_S = 60.0
TIMES = select(stocks_stock.c.ticker, *(stocks_stock.c[name] for name in TIME_COLUMNS))
COLUMNS = (*QUOTE_COLUMNS, *TIME_COLUMNS)

Listener = Callable[[list[dict[str, Any]]], None]
log = get_logger(__name__)


class Book:
    """`listeners` get each batch of changed rows, in the loop; `tickers` is sorted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self.listeners: list[Listener] = []
        self.tickers: list[str] = []
        self.filled = asyncio.Event()
        self._rows: dict[str, bytes] = {}
        self._heads: dict[str, int] = {}
        """How long each row is before its times."""
        self._times: dict[str, tuple[Any, ...]] = {}
        self._run = token_hex(4)
        """Versions begin anew with each process; a tag of the one before may not be taken for one of this one."""
        self._seq = self._version = 0
        self._said = Sparing(SAID_EVERY_S)

    @property
    def tag(self) -> str:
        """What is new whenever a row is."""
        return f'"b{self._run}.{self._seq:x}.{self._version:x}"'

    async def follow(self) -> None:
        """Keep up with the table until cancelled; a database that is away is asked again."""
        looked_s = self._clock.monotonic_s()
        while True:
            try:
                await self.catch_up()
                now_s = self._clock.monotonic_s()
                if now_s - looked_s >= TIMES_S:
                    looked_s = now_s
                    await self.renew_times()
            except TickerdError as error:
                if self._said.is_due("away", now_s=self._clock.monotonic_s()):
                    log.warning("quotes_stand_still", error=str(error))
            await self._clock.sleep(POLL_S)

    async def catch_up(self) -> None:
        """Take every change that was committed by now."""
        while True:
            found = await self._database.read(self._read_changes)
            if found.seq < self._seq:  # a backup was restored
                self.tickers = []
                self._rows.clear()
                self._times.clear()
            self._seq = found.seq
            if not found.rows:
                break
            self._take(found.rows)
        self.filled.set()

    def _read_changes(self, _engine: Engine) -> Changes:
        return self._database.reader.changes(self._seq, limit=BATCH_ROWS, columns=COLUMNS)

    def _take(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            times = tuple(row[name] for name in TIME_COLUMNS)
            self._times[row["ticker"]] = times
            self._put(row["ticker"], _head(row), times)
        if len(self._rows) != len(self.tickers):
            self.tickers = sorted(self._rows)
        self._version += 1
        for listener in self.listeners:
            listener(rows)

    def _put(self, ticker: str, head: bytes, times: tuple[Any, ...]) -> None:
        self._heads[ticker] = len(head)
        self._rows[ticker] = head + _tail(times)

    async def renew_times(self) -> None:
        """Take the times of the rows that were confirmed without a change."""
        renewed = await self._database.read(self._read_times)
        for start in range(0, len(renewed), BATCH_ROWS):
            for ticker, times in renewed[start : start + BATCH_ROWS]:
                self._times[ticker] = times
                self._put(ticker, self._rows[ticker][: self._heads[ticker]], times)
            await self._clock.sleep(0)  # others' turn
        self._version += bool(renewed)

    def _read_times(self, engine: Engine) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the tickers of the book that have other times by now; in the reading thread."""
        with engine.connect() as connection:
            rows = connection.execute(TIMES).all()
        known = self._times
        found = ((row[0], tuple(row[1:])) for row in rows)
        return [(ticker, times) for ticker, times in found if known.get(ticker, times) != times]

    def page(self, *, after: str, limit: int) -> tuple[list[bytes], str | None]:
        """Return rows behind the ticker `after`, and the last ticker if there are more."""
        start = bisect_right(self.tickers, after) if after else 0
        tickers = self.tickers[start : start + limit]
        return [self._rows[ticker] for ticker in tickers], tickers[-1] if start + limit < len(self.tickers) else None

    def rows(self, tickers: Iterable[str]) -> tuple[list[bytes], list[str]]:
        """Return (rows, unknown) of these tickers."""
        asked = list(dict.fromkeys(tickers))
        known = [ticker for ticker in asked if ticker in self._rows]
        return [self._rows[ticker] for ticker in known], [ticker for ticker in asked if ticker not in self._rows]


def _head(row: dict[str, Any]) -> bytes:
    """The object but for its end."""
    return encode({name: row[name] for name in QUOTE_COLUMNS})[:-1]


def _tail(times: tuple[Any, ...]) -> bytes:
    return b"," + encode(dict(zip(TIME_COLUMNS, times, strict=True)))[1:]
