"""Brings a market from disk and database: the bar cube, the running session's prices, the table's columns.

Computes no measure and writes nothing but the cube.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import BigInteger as Whole
from sqlalchemy import Boolean, Date, Engine, Float, Text

from core.clock import Clock
from core.errors import RetryLater
from core.files import read_text
from core.logs import get_logger
from core.settings import Settings
from market.eastern import local_date
from market.sessions import build_calendar
from screener.cube import build, files
from screener.cube.bars import Bars, day_number
from screener.cube.live import nothing_yet, with_live, with_quotes
from screener.expressions.fields import Field, TextColumn
from screener.jobs.families import families
from screener.jobs.market import Column, Market
from storage import bar_rows
from storage.engine import open_reader_engine
from storage.queries import query
from storage.schema import UtcTime, stocks_stock
from storage.schema_version import require_current

log = get_logger(__name__)

CUBE = "cube"
NOT_FIELDS = ("id", "change_seq")
UNITS = {"dividend_yield": "fraction", "price_change_percent": "percent"}


def _field(column: Any) -> Field | None:
    """Return the field of a column: dates count the days until then, times the seconds since."""
    kind = column.type
    if isinstance(kind, Text):
        return Field(name=str(column.name), kind="text", dated=False, doc="text of stocks_stock")
    if isinstance(kind, Boolean):
        return Field(name=str(column.name), kind="flag", dated=False, doc="flag of stocks_stock")
    units = ((UtcTime, "seconds ago"), (Date, "days until"), (Float, ""), (Whole, ""))
    unit = next((unit for known, unit in units if isinstance(kind, known)), None)
    if unit is None:
        return None
    unit = UNITS.get(column.name, unit)
    return Field(name=str(column.name), unit=unit, dated=False, doc="column of stocks_stock")


FIELDS: Mapping[str, Field] = {
    str(column.name): field
    for column in stocks_stock.columns
    if column.name not in NOT_FIELDS and (field := _field(column)) is not None
}


class Table:
    """Columns of `stocks_stock` as of `now`."""

    def __init__(self, engine: Engine, now: datetime, zone_name: str) -> None:
        self._engine, self._now, self._today = engine, now, local_date(now, zone_name)

    @property
    def fields(self) -> Mapping[str, Field]:
        return FIELDS

    def read(self, names: Sequence[str], tickers: Sequence[str]) -> Mapping[str, Column]:
        columns = ", ".join(("ticker", *names))
        with self._engine.connect() as connection:
            cursor = connection.exec_driver_sql(f"SELECT {columns} FROM stocks_stock").cursor
            rows = {row[0]: row[1:] for row in cursor.fetchall()}
        nothing = (None,) * len(names)
        found = list(zip(*(rows.get(ticker, nothing) for ticker in tickers), strict=True)) or [() for _ in names]
        return {name: self._column(FIELDS[name], values) for name, values in zip(names, found, strict=True)}

    def _column(self, field: Field, values: Sequence[Any]) -> Column:
        if field.kind == "text":
            return Column(field, texts=TextColumn.of(values))
        if field.unit == "seconds ago":
            times = (bar_rows.moment(value) for value in values)
            values = [None if time is None else (self._now - time.astimezone(UTC)).total_seconds() for time in times]
        elif field.unit == "days until":
            values = [None if value is None else (_date(value) - self._today).days for value in values]
        return Column(field, numbers=np.array(values, np.float64))  # None becomes NaN


def _date(value: Any) -> Any:
    return datetime.fromisoformat(value).date() if isinstance(value, str) else value


class Store:
    """Where one process gets its markets from; keeps what has not changed since the last one."""

    def __init__(self, settings: Settings, *, service: str, clock: Clock) -> None:
        """FixByHand if the database is absent or its schema is not this program's."""
        url = settings.database.url
        require_current(url)
        self.engine = open_reader_engine(url, service=service)
        self._settings, self._clock = settings, clock
        self._calendar = build_calendar(settings.market, read=read_text)
        self._folder = Path(settings.state.dir) / CUBE
        self._lock = threading.Lock()
        self._cube: files.Cube | None = None
        self._closed: Market | None = None

    def close(self) -> None:
        self.engine.dispose()

    def newest_seq(self) -> int:
        """Return the number of the newest write to the table of stocks."""
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(query("newest_seq", self.engine.dialect.name)).scalar_one() or 0)

    def closed(self) -> Market:
        """Return the market of completed bars; the same one while no bar was written."""
        with self._lock:
            seq = bar_rows.bars_seq(self.engine)
            if self._closed is None or self._cube is None or self._cube.seq != seq:
                self._cube = self._current()
                self._closed = self._market(self._cube.bars)
            return self._closed

    def live(self) -> Market:
        """Return the market with the running session's prices as provisional newest bars, if there are such."""
        closed = self.closed()
        now = self._clock.utc_now()
        session = self._calendar.session_at(now) or self._calendar.last_session(now)
        if session is None:
            return closed
        rows, _ = bar_rows.read_quotes_since(self.engine, 0)
        quotes = bar_rows.quotes_of_session(rows, opens_at=session.opens_at, dialect=self.engine.dialect.name)
        places = {ticker: place for place, ticker in enumerate(closed.bars.tickers)}
        prices = with_quotes(nothing_yet(closed.tickers, day_number(session.session_date)), places, quotes)
        bars = with_live(closed.bars, prices)
        if bars.provisional is None or not bars.provisional.any():
            return closed
        market = self._market(bars)
        market.stands_on(closed)
        return market

    def _market(self, bars: Bars) -> Market:
        table = Table(self.engine, self._clock.utc_now(), self._calendar.zone_name)
        return Market(bars, families(), table, keep=self._settings.screener.use_cache)

    def _current(self) -> files.Cube:
        """Return the cube as SQL is now; while another process renews it, the one that is there."""
        try:
            return build.keep_current(self._folder, self.engine, rows=self._settings.daily.history_days)
        except RetryLater:
            held = files.read(self._folder)
            if held is None:
                raise
            return held
