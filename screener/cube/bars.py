"""The bars of a whole market as arrays: one row a bar, one column a ticker. Reads no file, computes no measure.

Right-aligned: the last row is each ticker's own newest bar, so that "three bars ago" is one row for all. A ticker with
fewer bars than there are rows has NaN and session 0 above its first. Within a column no bar is missing: a halted ticker
has no rows for the days on which it did not trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Prices = NDArray[np.float32]
Days = NDArray[np.int32]
Flags = NDArray[np.bool_]
Columns = NDArray[np.intp] | slice

EPOCH = date(1970, 1, 1)
PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
ARRAYS = ("session", *FIELDS)


def day_number(day: date) -> int:
    """Return days since 1970-01-01, as `session` counts."""
    return (day - EPOCH).days


def date_of(day: int) -> date:
    """Return the date of a day number."""
    return EPOCH + timedelta(days=int(day))


@dataclass(frozen=True, slots=True)
class Bars:
    """Arrays (T, N): prices in the ticker's currency, `volume` in shares, NaN where none is known or no bar is.

    `session`: days since 1970-01-01, 0 where no bar is. `counts`: bars of each ticker, at most T.
    `provisional`: which newest bars are of a session that still runs; None = no ticker's.
    """

    tickers: tuple[str, ...]
    session: Days
    open: Prices
    high: Prices
    low: Prices
    close: Prices
    volume: Floats
    counts: Days
    provisional: Flags | None = None

    @property
    def rows(self) -> int:
        return int(self.close.shape[0])

    @property
    def width(self) -> int:
        return int(self.close.shape[1])

    @property
    def starts(self) -> Days:
        """The row of each ticker's first bar; T where it has none."""
        return (self.rows - self.counts).astype(np.int32)

    @property
    def newest_day(self) -> int:
        """The latest session of any ticker, 0 without bars."""
        return int(self.session[-1].max(initial=0)) if self.rows else 0

    def columns(self, which: Columns) -> Bars:
        """Return these tickers alone; a slice copies nothing."""
        tickers = self.tickers[which] if isinstance(which, slice) else tuple(self.tickers[i] for i in which)
        provisional = None if self.provisional is None else self.provisional[which]
        cut = {name: getattr(self, name)[:, which] for name in ARRAYS}
        return self._with(cut, tickers=tickers, counts=self.counts[which], provisional=provisional)

    def _with(
        self, arrays: dict[str, Any], *, counts: Days, provisional: Flags | None, tickers: tuple[str, ...] | None = None
    ) -> Bars:
        return Bars(
            tickers=self.tickers if tickers is None else tickers, counts=counts, provisional=provisional, **arrays
        )

    def tail(self, rows: int) -> Bars:
        """Return at most the newest `rows` bars of each ticker; copies nothing."""
        if rows >= self.rows:
            return self
        cut = {name: getattr(self, name)[-rows:] if rows else getattr(self, name)[:0] for name in ARRAYS}
        return self._with(cut, counts=np.minimum(self.counts, rows).astype(np.int32), provisional=self.provisional)

    def until(self, day: int) -> Bars:
        """Return the market as it was known after session `day`: no later bar, aligned anew."""
        later = np.count_nonzero(self.session > day, axis=0)
        if not later.any():
            return self
        source = np.arange(self.rows)[:, None] - later
        held = source >= 0
        source[~held] = 0
        cut = {name: np.take_along_axis(getattr(self, name), source, axis=0) for name in ARRAYS}
        for name, values in cut.items():
            values[~held] = 0 if name == "session" else np.nan
        counts = np.maximum(self.counts - later, 0).astype(np.int32)
        provisional = None if self.provisional is None else self.provisional & (later == 0)
        return self._with(cut, counts=counts, provisional=provisional)


@dataclass(frozen=True, slots=True)
class History:
    """The bars of one ticker, oldest first, each array of one length; as in `Bars`."""

    ticker: str
    session: Days
    open: NDArray[np.floating]
    high: NDArray[np.floating]
    low: NDArray[np.floating]
    close: NDArray[np.floating]
    volume: NDArray[np.floating]


def align(histories: Sequence[History], *, rows: int | None = None) -> Bars:
    """Return the newest `rows` (all, if None) bars of each as columns in the order given."""
    depth = max((len(one.session) for one in histories), default=0) if rows is None else rows
    bars = empty([one.ticker for one in histories], depth)
    for column, one in enumerate(histories):
        put(bars, column, one)
    return bars


def empty(tickers: Sequence[str], rows: int) -> Bars:
    """Return arrays of that size without a bar, to be filled by `put`."""
    shape = (rows, len(tickers))
    prices: dict[str, Any] = {name: np.full(shape, np.nan, np.float32) for name in PRICES}
    return Bars(
        tickers=tuple(tickers),
        session=np.zeros(shape, np.int32),
        volume=np.full(shape, np.nan),
        counts=np.zeros(len(tickers), np.int32),
        **prices,
    )


def put(bars: Bars, column: int, one: History) -> None:
    """Write the newest bars of `one` into a column of arrays made by `empty`, whatever stood there before."""
    count = min(len(one.session), bars.rows)
    start = bars.rows - count
    for name in ARRAYS:
        held = getattr(bars, name)
        held[:start, column] = 0 if name == "session" else np.nan
        held[start:, column] = getattr(one, name)[len(one.session) - count :]
    bars.counts[column] = count


def fill(tickers: list[str], rows: int, columns: Days, days: Days, prices: Prices, volumes: Floats) -> Bars:
    """Return the newest `rows` bars of each ticker as arrays, from bars in any order; `columns`: the ticker of each."""
    bars = empty(tickers, rows)
    order = np.argsort(columns.astype(np.int64) << 32 | days, kind="stable")
    columns, days = columns[order], days[order]
    ends = np.cumsum(np.bincount(columns, minlength=len(tickers)))
    places = rows - ends[columns] + np.arange(len(columns))
    kept = places >= 0
    order, columns, places = order[kept], columns[kept], places[kept]
    bars.session[places, columns] = days[kept]
    for name, values in zip(PRICES, prices, strict=True):
        getattr(bars, name)[places, columns] = values[order]
    bars.volume[places, columns] = volumes[order]
    bars.counts[:] = np.bincount(columns, minlength=len(tickers))
    return bars


def group_starts(ordered: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return where each run of equals begins. `np.unique` would do, and load 20 ms of masked arrays first."""
    return np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
