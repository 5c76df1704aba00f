"""A block of tickers under the hands of the measures: its bars in float64 and what was computed from them already.

Computes no measure itself and never changes the bars.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from screener.cube.bars import Bars, Days, Floats, Prices
from screener.measures.kernels import newest, span_rows

P = ParamSpec("P")
T = TypeVar("T")
PanelT = TypeVar("PanelT", bound="Panel")
SPARE_ROWS = 2  # what a change from bar to bar needs


class Panel:
    """`rows`: how many of the newest bars a measure is wanted for. Prices are (T, N), NaN where no bar is."""

    def __init__(self, bars: Bars, rows: int = 1, *, spare_rows: int = SPARE_ROWS) -> None:
        self.bars, self.rows, self.spare_rows = bars, rows, spare_rows
        self.counts: Days = bars.counts
        self.starts: Days = bars.starts
        self.ragged = bool(self.starts.any())
        self.positive = np.fmax if self.ragged else np.maximum  # of NaN, where no bar is, the former makes 0
        self.cache: dict[Hashable, object] = {}

    def _field(self, name: str, rows: int) -> Floats:
        """Return at least the newest `rows` in float64, all of them once half are wanted."""
        found = self.cache.get(name)
        if found is None or found.shape[0] < rows:  # type: ignore[attr-defined]  # what this method put there
            held = getattr(self.bars, name)
            wanted = self.depth if 2 * rows > self.depth else rows
            found = self.cache[name] = held[self.depth - wanted :].astype(np.float64, copy=False)
        assert isinstance(found, np.ndarray)
        return found

    def span(self, name: str, first: int, end: int) -> Floats:
        """Return bars `first` to `end`, counted from the oldest; the next span of that name may overwrite them."""
        held = self.cache.get(name)
        if isinstance(held, np.ndarray) and held.shape[0] == self.depth:
            return held[first:end]
        out = self.scratch(name, 1)[: end - first, 0]
        np.copyto(out, getattr(self.bars, name)[first:end])
        return out

    def scratch(self, name: str, series: int) -> Floats:
        """Return (rows, series, N) to write a span into, and the bar before it; the same one each time.

        Memory that is asked for anew would come from the system each time, page by page, at the cost of the arithmetic.
        """
        key = ("scratch", name)
        if key not in self.cache:
            self.cache[key] = np.empty((span_rows(self.width) + 1, series, self.width))
        return self.cache[key]  # type: ignore[return-value]  # what this method put there

    @property
    def depth(self) -> int:
        return self.bars.rows

    @property
    def width(self) -> int:
        return self.bars.width

    @property
    def open(self) -> Floats:
        return self._field("open", self.depth)

    @property
    def high(self) -> Floats:
        return self._field("high", self.depth)

    @property
    def low(self) -> Floats:
        return self._field("low", self.depth)

    @property
    def close(self) -> Floats:
        return self._field("close", self.depth)

    @property
    def volume(self) -> Floats:
        return self._field("volume", self.depth)

    def kept(self, name: str, rows: int) -> Prices | Floats:
        """Return the newest rows as they are kept, in half the memory: kernels that say so lose nothing by it."""
        return newest(getattr(self.bars, name), rows)

    def lag(self, name: str, bars: int = 0, rows: int | None = None) -> Floats:
        """Return open, high, low, close or volume `bars` bars before each of the newest rows."""
        wanted = self.rows if rows is None else rows
        if bars > wanted and name not in self.cache:  # far back, and few: not worth all between
            return newest(getattr(self.bars, name), wanted, lag=bars).astype(np.float64, copy=False)
        return newest(self._field(name, min(wanted + bars, self.depth)), wanted, lag=bars)

    def filled(self, values: Floats) -> Floats:
        """Return non-negative values with 0 where no bar is, as an exponential average wants them."""
        return np.fmax(values, 0.0) if self.ragged else values


def cached(
    function: Callable[Concatenate[PanelT, P], T],
) -> Callable[Concatenate[PanelT, P], T]:
    """Compute once for a panel and its arguments."""
    name = f"{function.__module__}.{function.__qualname__}"

    def once(panel: PanelT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (name, args, tuple(kwargs.items()))
        if key not in panel.cache:
            panel.cache[key] = function(panel, *args, **kwargs)
        return panel.cache[key]  # type: ignore[return-value]  # what this function put there

    once.__doc__, once.__name__ = function.__doc__, function.__name__
    return once


def looked_back(function: Callable[[Panel, int, int], Floats]) -> Callable[[Panel, int, int], Floats]:
    """Compute once for a panel and a length, with some rows more: an average that rolls on gives them for nothing."""
    name = f"{function.__module__}.{function.__qualname__}"

    def once(panel: Panel, length: int, rows: int) -> Floats:
        key = (name, length)
        found = panel.cache.get(key)
        if found is None or found.shape[0] < rows:  # type: ignore[attr-defined]  # what this function put there
            found = panel.cache[key] = function(panel, length, rows + panel.spare_rows)
        return found[-rows:]  # type: ignore[index, no-any-return]

    once.__doc__, once.__name__ = function.__doc__, function.__name__
    return once
