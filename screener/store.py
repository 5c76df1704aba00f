"""Brings a market from disk and database: the bar cube, the running session's prices, the table's columns.

Computes no measure and writes nothing but the cube.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import partial
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
from market.eastern import daily_to_utc, local_date
from market.sessions import Session, build_calendar
from screener import intraday
from screener.cube import build, files
from screener.cube.bars import Bars, day_number
from screener.cube.live import Live, nothing_yet, with_quotes
from screener.expressions.fields import Field, TextColumn
from screener.jobs.detail import PRE_MARKET
from screener.jobs.families import families
from screener.jobs.live import LiveMarket
from screener.jobs.market import Column, Market
from screener.measures.state import State
from screener.patterns.catalogue import DAILY, PATTERNS
from storage import bar_rows
from storage.engine import open_reader_engine
from storage.queries import query
from storage.schema import UtcTime, stocks_stock
from storage.schema_version import require_current

log = get_logger(__name__)

CUBE, MINUTES = "cube", "minute_bars"
COLUMNS_FOR_S = 1.0
"""Scans of one second share what was read of the table."""
NOT_FIELDS = ("id", "change_seq")
OF_THEIR_OWN = tuple(name for name in PATTERNS if name not in DAILY)
"""Patterns that daily bars cannot tell."""
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
} | {name: Field(name=name, kind="flag", signed=True, dated=False, doc=PATTERNS[name].doc) for name in OF_THEIR_OWN}


class Table:
    """Columns of `stocks_stock` as of `now`."""

    def __init__(self, engine: Engine, now: datetime, zone_name: str, *, minutes: Path) -> None:
        """`minutes`: the folder of minute bars, if some are kept."""
        self._engine, self._now, self._today = engine, now, local_date(now, zone_name)
        self._today_s = (now - daily_to_utc(self._today, time.min, zone_name)).total_seconds()
        self._minutes = minutes

    @property
    def fields(self) -> Mapping[str, Field]:
        return FIELDS

    def read(self, names: Sequence[str], tickers: Sequence[str]) -> Mapping[str, Column]:
        plain = [name for name in names if name not in OF_THEIR_OWN]
        made = {name: self._made(name, tickers) for name in names if name in OF_THEIR_OWN}
        columns = ", ".join(("ticker", *plain))
        with self._engine.connect() as connection:
            cursor = connection.exec_driver_sql(f"SELECT {columns} FROM stocks_stock").cursor
            rows = {row[0]: row[1:] for row in cursor.fetchall()}
        nothing = (None,) * len(plain)
        found = list(zip(*(rows.get(ticker, nothing) for ticker in tickers), strict=True)) or [() for _ in plain]
        return made | {name: self._column(FIELDS[name], values) for name, values in zip(plain, found, strict=True)}

    def _made(self, name: str, tickers: Sequence[str]) -> Column:
        """Return a pattern on bars that are made for it."""
        if PATTERNS[name].needs == "minute bars":
            bars = intraday.minute_bars(self._minutes, tickers, self._today)
        else:
            found = self.read((PRE_MARKET, "current_price", "price_time"), tickers)
            price, close, traded_s = (column.numbers for column in found.values())
            assert price is not None and close is not None and traded_s is not None
            # Once the session has a price of its own, the one before the open is behind it.
            bars = intraday.premarket_bars(tickers, np.where(traded_s < self._today_s, np.nan, price), close)
        return Column(FIELDS[name], numbers=intraday.signs(name, bars))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known of a running session as of write `seq`."""

    tickers: Sequence[str]
    places: dict[str, int]
    seq: int
    live: Live

    @classmethod
    def nothing(cls, tickers: Sequence[str], session: Session) -> Heard:
        places = {ticker: place for place, ticker in enumerate(tickers)}
        live = nothing_yet(len(tickers), day_number(session.session_date))
        return cls(tickers=tickers, places=places, seq=0, live=live)


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
        self._columns_at_s = 0.0
        self._state: tuple[Bars, State] | None = None
        self._heard: Heard | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have a cube that is being built be given up: the next process builds it."""
        self._stopping.set()

    def close(self) -> None:
        self.engine.dispose()

    def newest_seq(self) -> int:
        """Return the number of the newest write to the table of stocks."""
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(query("newest_seq", self.engine.dialect.name)).scalar_one() or 0)

    def closed(self) -> Market:
        """Return the market of completed bars, with columns of now; what was computed stays while no bar is written."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            write = bar_rows.bars_write(self.engine)
            if self._closed is None or self._cube is None or self._cube.write != write:
                self._cube = self._current()
                self._closed = self._market(self._cube.bars)
            elif now_s - self._columns_at_s >= COLUMNS_FOR_S:
                self._closed = self._closed.with_columns(self.table())
            else:
                return self._closed
            self._columns_at_s = now_s
            return self._closed

    def live(self) -> Market:
        """Return the market with the running session's prices as provisional newest bars, if there are such."""
        closed, session = self.closed(), self.session()
        if session is None or not closed.rows:
            return closed
        prices = self._prices_of_all(closed.names, session).in_units_of(closed.bars.close[-1])
        if not (prices.known & (closed.sessions(1)[-1] < prices.day)).any():
            return closed
        return LiveMarket(closed, prices, partial(self._state_of, closed.bars), families(), self.table())

    def _state_of(self, bars: Bars) -> State:
        """Return the state of these completed bars; a scan may still look at those before the newest."""
        with self._lock:
            if self._state is None or self._state[0] is not bars:
                self._state = bars, State.of(bars)
            return self._state[1]

    def session(self) -> Session | None:
        """Return the session that runs, or the one that ran last."""
        now = self._clock.utc_now()
        return self._calendar.session_at(now) or self._calendar.last_session(now)

    def prices(self, tickers: Sequence[str], session: Session) -> Live:
        """Return what the table says of a session."""
        return self._heard_since(Heard.nothing(tickers, session), session).live

    def _prices_of_all(self, tickers: Sequence[str], session: Session) -> Live:
        """Return the same; only what was written since the last look is read."""
        held = self._heard
        if held is None or held.tickers is not tickers or held.live.day != day_number(session.session_date):
            held = Heard.nothing(tickers, session)
        self._heard = held = self._heard_since(held, session)
        return held.live

    def _heard_since(self, held: Heard, session: Session) -> Heard:
        rows, seq = bar_rows.read_quotes_since(self.engine, held.seq)
        quotes = bar_rows.quotes_of_session(rows, opens_at=session.opens_at, dialect=self.engine.dialect.name)
        return replace(held, seq=seq, live=with_quotes(held.live, held.places, quotes))

    def table(self) -> Table:
        """Return the columns of the table as of now."""
        minutes = Path(self._settings.state.dir) / MINUTES
        return Table(self.engine, self._clock.utc_now(), self._calendar.zone_name, minutes=minutes)

    def _market(self, bars: Bars) -> Market:
        return Market(bars, families(), self.table(), keep=self._settings.screener.use_cache)

    def _current(self) -> files.Cube:
        """Return the cube as SQL is now; while another process renews it, the one that is there."""
        try:
            rows = self._settings.daily.history_days
            return build.keep_current(self._folder, self.engine, rows=rows, stopped=self._stopping.is_set)
        except build.Stopped:
            raise
        except RetryLater:
            held = files.read(self._folder)
            if held is None:
                raise
            return held
