"""A block of tickers under the hands of the measures: its bars in float64 and what was computed from them already.

Computes no measure itself and never changes the bars.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from screener.cube.bars import Bars, Days, Floats, Prices
from screener.measures.kernels import newest
from screener.measures.rolling import first_values, span_rows, sweep

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
        self.nothing = np.zeros(bars.width)  # beside a row of zeros a maximum takes half as long as beside a number
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

    def scratch(self, name: str, rows: int, *shape: int) -> Floats:
        """Return (rows, *shape) to write a span into; the same memory each time.

        What is asked for anew would come from the system each time, page by page, at the cost of the arithmetic.
        """
        key = ("scratch", name)
        held = self.cache.get(key)
        if held is None or held.shape[0] < rows:  # type: ignore[attr-defined]  # what this method put there
            held = self.cache[key] = np.empty((max(rows, span_rows(self.width) + 1), *shape))
        return held[:rows]  # type: ignore[index, no-any-return]

    def wide(self, name: str, values: Prices) -> Floats:
        """Return a span in float64, in the scratch of that name."""
        out = self.scratch(name, len(values), self.width)
        np.copyto(out, values)
        return out

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
        held: Prices | Floats = getattr(self.bars, name)
        return newest(held, rows)

    def lag(self, name: str, bars: int = 0, rows: int | None = None) -> Floats:
        """Return open, high, low, close or volume `bars` bars before each of the newest rows."""
        wanted = self.rows if rows is None else rows
        if bars > wanted and name not in self.cache:  # far back, and few: not worth all between
            return np.asarray(newest(getattr(self.bars, name), wanted, lag=bars), np.float64)
        return newest(self._field(name, min(wanted + bars, self.depth)), wanted, lag=bars)

    @property
    def filled_close(self) -> Floats:
        """Closes with 0 where no bar is, as an exponential average wants them."""
        if "filled" not in self.cache:
            self.cache["filled"] = np.fmax(self.close, self.nothing) if self.ragged else self.close
        return self.cache["filled"]  # type: ignore[return-value]  # what this method put there


Steps = Callable[[Panel, Sequence[Prices], Floats], None]
"""(panel, fields from the bar before on, (rows, series, N) to write into): what changed from bar to bar."""


class Changes:
    """Series made of each bar and the one before it, 0 where there is none; some bars at a time."""

    def __init__(self, panel: Panel, fields: Sequence[str], series: int, steps: Steps) -> None:
        self._panel, self._series, self._steps = panel, series, steps
        self._fields: list[Prices] = [getattr(panel.bars, name) for name in fields]

    def __call__(self, first: int, end: int) -> Floats:
        """Return bars `first` to `end`, counted from the oldest; the next call overwrites them."""
        out = self._panel.scratch(self._steps.__name__, end - first, self._series, self._panel.width)
        before = max(first - 1, 0)
        out[: before + 1 - first] = 0.0
        self._steps(self._panel, [field[before:end] for field in self._fields], out[before + 1 - first :])
        return out

    def first(self, count: int) -> Floats:
        """Return (count, series, N): of each ticker's own first changes; of one with fewer bars nothing that counts."""
        out = np.empty((count, self._series, self._panel.width))
        if self._panel.depth:
            starts = self._panel.starts
            self._steps(self._panel, [first_values(field, starts, count + 1) for field in self._fields], out)
        return out

    def averages(self, length: int, rows: int) -> Floats:
        """Return (rows, series, N): Wilder's."""
        panel, first = self._panel, self.first(length)
        return sweep(self, panel.depth, panel.starts + 1, rows, series=self._series, length=length, first=first)


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
