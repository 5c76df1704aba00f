"""Rows of the bars, each with the bars before it. Decides nothing; never looks at a later row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import Bars
from screener.measures import market
from screener.measures.catalogue import Frame, find
from screener.measures.kernels import newest

DEPTH = 32
"""Bars before each row that a condition may look back to; what needs more of them is a measure."""
FEW_ROWS = 16
"""Up to here a measure is computed for the rows asked, beyond it once for all."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Signs = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a bar must trade for the LC scan to look at it: shares, dollars; least price in dollars."""

    min_volume: float = 10_000_000.0
    min_dollar_volume: float = 500_000_000.0
    min_price: float = 5.0


class Window:
    """The bars of rows `first` .. T: `close(1)` is, for each of these rows, the close one bar before.

    One row (`first = T - 1`) is a scan of the newest bars, all rows are a back-test: the conditions are the same.
    """

    def __init__(
        self,
        bars: Bars,
        first: int,
        *,
        frame: Frame | None = None,
        ranked: Mapping[str, Floats] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`frame`: the measures of these bars, if there is one already.

        `ranked`: rows of measures that compare the whole market, where these bars are only a part of it.
        """
        self.bars = bars
        self.frame = frame or Frame(bars)
        self.first = first
        self.limits = limits or Limits()
        self.parts: dict[str, Any] = {}
        """What patterns of one family share, made once."""
        self.rows = bars.rows - first
        self.ranked = dict(ranked or {})
        self._blocks: dict[str, Floats] = {}

    @classmethod
    def last(cls, bars: Bars) -> Window:
        return cls(bars, bars.rows - 1)

    def columns(self, which: NDArray[np.intp]) -> Window:
        """Return these tickers alone."""
        ranked = {name: values[:, which] for name, values in self.ranked.items()}
        return Window(self.bars.columns(which), self.first, ranked=ranked, limits=self.limits)

    def measure(self, name: str, lag: int = 0) -> Floats:
        """Return a measure of the catalogue on each row, `lag` bars earlier; NaN above the first row."""
        if name in self.ranked or _compares(name):
            return newest(self._ranked(name, min(self.rows + lag, self.bars.rows)), self.rows, lag=lag)
        rows = self.rows + lag if self.rows + lag <= min(FEW_ROWS, self.bars.rows) else self.bars.rows
        return newest(self.frame.value(name, rows), self.rows, lag=lag)

    def far_back(self, field: str, lag: int) -> Floats:
        """Return a field more than DEPTH bars earlier."""
        return self.frame.lag(field, lag, self.rows)

    def _ranked(self, name: str, rows: int) -> Floats:
        if name not in self.ranked or len(self.ranked[name]) < rows:
            self.ranked[name] = market.compute(self.bars, [name], rows)[name]
        return self.ranked[name]

    def open(self, lag: int = 0) -> Floats:
        return self.cut(self.block("open"), lag)

    def high(self, lag: int = 0) -> Floats:
        return self.cut(self.block("high"), lag)

    def low(self, lag: int = 0) -> Floats:
        return self.cut(self.block("low"), lag)

    def close(self, lag: int = 0) -> Floats:
        return self.cut(self.block("close"), lag)

    def volume(self, lag: int = 0) -> Floats:
        return self.cut(self.block("volume"), lag)

    def block(self, field: str) -> Floats:
        """Return a field in float64 from DEPTH rows before `first` on; NaN where there is no bar.

        Prices are kept in 24 bits: in 53 their differences and the sums of those are exact, in whatever order.
        """
        if field not in self._blocks:
            shared = self.rows > FEW_ROWS and self.first >= DEPTH
            whole = getattr(self.frame if shared else self.bars, field)
            self._blocks[field] = whole[self.first - DEPTH :] if shared else padded(whole, self.first)
        return self._blocks[field]

    def cut(self, block: NDArray[np.generic], lag: int) -> Floats:
        """Return the rows of a block (one that begins DEPTH rows before `first`), `lag` bars earlier."""
        start = DEPTH - lag
        return block[start : start + self.rows]  # type: ignore[return-value]

    def has_bars(self, count: int) -> Flags:
        """Return where the row's bar has at least `count` bars before it."""
        row = np.arange(self.first, self.bars.rows)[:, None]
        return row >= (self.bars.starts + count)[None, :]


def _compares(name: str) -> bool:
    measure = find(name)
    return measure is not None and measure.of_market


def padded(values: NDArray[np.floating], first: int) -> Floats:
    """Return the rows from DEPTH before `first` on in float64, NaN above the first row."""
    missing = max(0, DEPTH - first)
    block = np.empty((values.shape[0] - first + DEPTH, values.shape[1]))
    block[:missing] = np.nan
    block[missing:] = values[first - DEPTH + missing :]
    return block
