"""Small markets for tests of scans: a few tickers with closes that a test writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from market.universe import Listing
from screener.cube.bars import Bars, History, align, date_of, day_number
from screener.expressions.fields import Field, Kind, TextColumn
from screener.jobs.families import families
from screener.jobs.market import Column, Market
from storage.daily_bars import DailyBar, write_daily_bars
from storage.universe import load_universe
from storage.writer import Writer

LAST_DAY = date(2026, 11, 20)


def history(ticker: str, closes: Sequence[float], *, last_day: int | None = None, volume: float = 1000.0) -> History:
    """Bars on consecutive day numbers up to `last_day`; open = the close before, high and low 1 % around both."""
    close = np.array(closes, np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    last = day_number(LAST_DAY) if last_day is None else last_day
    days = np.arange(last - len(close) + 1, last + 1, dtype=np.int32)
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    return History(ticker, days, opened, high, low, close, np.full(len(close), volume))


def bars_of(closes: Mapping[str, Sequence[float]]) -> Bars:
    return align([history(ticker, values) for ticker, values in closes.items()])


class Facts:
    """Columns of a table that a test writes down: numbers, texts or flags by ticker."""

    def __init__(self, **columns: Mapping[str, float | str | None]) -> None:
        self._columns = columns
        self.reads: list[tuple[str, ...]] = []

    @property
    def fields(self) -> Mapping[str, Field]:
        return {name: Field(name=name, kind=self._kind(name), dated=False) for name in self._columns}

    def _kind(self, name: str) -> Kind:
        return "text" if any(isinstance(value, str) for value in self._columns[name].values()) else "number"

    def read(self, names: Sequence[str], tickers: Sequence[str]) -> Mapping[str, Column]:
        self.reads.append(tuple(names))
        return {name: self._column(name, tickers) for name in names}

    def _column(self, name: str, tickers: Sequence[str]) -> Column:
        values = [self._columns[name].get(ticker) for ticker in tickers]
        field = self.fields[name]
        if field.kind == "text":
            return Column(field, texts=TextColumn.of(value if isinstance(value, str) else None for value in values))
        return Column(field, numbers=np.array([np.nan if value is None else value for value in values], np.float64))


def market_of(closes: Mapping[str, Sequence[float]], facts: Facts | None = None, *, keep: bool = True) -> Market:
    return Market(bars_of(closes), families(), facts, keep=keep)


def wandering(count: int, *, bars: int = 60, seed: int = 7) -> dict[str, list[float]]:
    """Closes of `count` tickers that wander at random, the same each time."""
    luck = np.random.default_rng(seed)
    steps = luck.normal(0.0, 0.02, (count, bars))
    return {f"T{number:04d}": (50 * np.exp(np.cumsum(row))).tolist() for number, row in enumerate(steps)}


def leaders(count: int, *, others: int) -> Bars:
    """So many tickers that double within a year, before others that stand still: Minervini's are the first."""
    closes = np.full((260, count + others), 100.0, np.float32)
    closes[:, :count] = np.linspace(100, 200, 260)[:, None] + np.arange(count) / 10
    days = np.repeat(np.arange(20000, 20260, dtype=np.int32)[:, None], count + others, axis=1)
    tickers = tuple(f"T{number}" for number in range(count + others))
    counts = np.full(count + others, 260, np.int32)
    return Bars(tickers, days, closes, closes + 1, closes - 1, closes, np.full(closes.shape, 1e6), counts)


def daily_bars(closes: Mapping[str, Sequence[float]], *, last_day: date = LAST_DAY) -> list[DailyBar]:
    """The same bars as rows of SQL, on consecutive days up to `last_day`."""
    rows = []
    for ticker, values in closes.items():
        one = history(ticker, values, last_day=day_number(last_day))
        sides = zip(one.session, one.open, one.high, one.low, one.close, strict=True)
        for day, first, high, low, close in sides:
            prices = {"open": float(first), "high": float(high), "low": float(low), "close": float(close)}
            row = DailyBar(
                ticker=ticker,
                session_date=date_of(int(day)),
                **prices,
                adj_close=None,
                volume=1000,
                source="quote",
            )
            rows.append(row)
    return rows


def fill(writer: Writer, closes: Mapping[str, Sequence[float]], *, last_day: date = LAST_DAY) -> None:
    """List the tickers and write their bars."""
    load_universe(writer, [Listing(ticker=ticker) for ticker in closes])
    write_daily_bars(writer, daily_bars(closes, last_day=last_day))
