"""Averages that roll on: exponential ones and Wilder's. Knows no market and no name.

Arrays are (T, ..., N), the oldest bar first; the newest `rows` rows are given, NaN before the first value. What such an
average is at one row is linear in all values before: up to the first row that is wanted it is one product, and from
there it rolls on bar by bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import group_starts
from screener.measures.kernels import Floats, Kept, KeptT, Whole, newest

Source = Callable[[int, int], Floats]
"""(from row, to row) -> (rows, series, N); 0 where a ticker has no value yet. Each row is asked once, in order."""

SPAN_VALUES = 131_072  # 1 MB: some bars of a block of tickers fit the processor's nearer cache, all of them do not


def smooth(values: Floats, starts: Whole, rows: int, *, alpha: float, seed: int, skip: int = 0) -> Floats:
    """Return y += alpha (x - y), seeded with the mean of the first `seed` values of each column.

    `starts`: the row of each column's first value; above it `values` must be 0. `skip`: values before the seed that
    count for nothing.
    """
    bars = values.shape[0]
    if not bars:
        return np.full((rows, values.shape[1]), np.nan)
    ready = starts + (skip + seed - 1)
    top = max(bars - rows, 0)
    weights = np.repeat([0.0, 1 / seed], [skip, seed])
    out = alpha * values[top:]
    out[0], seeds = _at_row(values, top, starts, alpha=alpha, weights=weights)
    _go_on(out, ready - top, seeds, alpha)
    return newest(without_early(out, ready, bars), rows)


class Wilder:
    """S = S (1 - 1 / length) + x of values that come by bars, (series, N); S / length is Wilder's average of them.

    Seeded with the plain sum of the first `seed` values of each column, `starts` the row of its first; values above it
    must be 0. `first`: those values, (seed, series, N), if they are known before; else they are summed as they come.
    """

    def __init__(
        self, starts: Whole, bars: int, *, series: int, length: int, seed: int, first: Floats | None = None
    ) -> None:
        self.sums, self._scratch = np.zeros((series, len(starts))), np.empty((series, len(starts)))
        self._ready, self._first, self._leapt = starts + (seed - 1), first, 0
        self._seeds = np.zeros_like(self.sums) if first is None else first.sum(axis=0)
        self._seeded, self._last = _columns_by_row(self._ready, bars), int(self._ready.max(initial=-1))
        self._keep, self._fallen = 1 - 1 / length, (1 - 1 / length) ** np.arange(bars + seed, -1, -1.0)

    def leap(self, values: Floats) -> None:
        """Take in the bars that follow in one product: none of their S is wanted, and `first` is known."""
        count = len(values)
        self.sums *= self._keep**count
        self.sums += (self._fallen[-count:] @ values.reshape(count, -1)).reshape(self.sums.shape)
        self._leapt += count

    def _land(self) -> None:
        """Let the first values count as a seed: they were leapt over as if they were any."""
        assert self._first is not None
        count = len(self._first)
        counted = (self._fallen[-count:] @ self._first.reshape(count, -1)).reshape(self.sums.shape)
        since = self._leapt - 1 - self._ready
        self.sums += np.where(since < 0, 0.0, self._fallen[-1 - since]) * (self._seeds - counted)
        self._leapt = 0

    def roll(self, first_row: int, values: Floats) -> None:
        """Turn the bars from `first_row` on, (rows, series, N), into their S in place."""
        if self._leapt:
            self._land()
        before = self.sums
        for row, held in enumerate(values, start=first_row):
            if self._first is None and row <= self._last:
                np.add(self._seeds, held, out=self._seeds)
            np.multiply(before, self._keep, out=self._scratch)
            np.add(held, self._scratch, out=held)
            if row in self._seeded:
                columns = self._seeded[row]
                held[:, columns] = self._seeds[:, columns]
            before = held
        self.sums[...] = before


def sweep(
    source: Source,
    bars: int,
    starts: Whole,
    rows: int,
    *,
    series: int,
    length: int,
    seed: int | None = None,
    first: Floats | None = None,
) -> Floats:
    """Return (rows, series, N) Wilder averages of values that are made some bars at a time, never held as a whole.

    `first`: the first `seed` values of each column, if they can be told before: then the bars above the newest `rows`
    need no look at each.
    """
    count, top = length if seed is None else seed, max(bars - rows, 0)
    rolling = Wilder(starts, bars, series=series, length=length, seed=count, first=first)
    out = np.full((rows, series, len(starts)), np.nan)
    for begin, end in spans(0, top, len(starts)):
        if first is None:
            rolling.roll(begin, source(begin, end))
        else:
            rolling.leap(source(begin, end))
    known = out[rows - (bars - top) :]
    for begin, end in spans(top, bars, len(starts)):
        values = source(begin, end)
        rolling.roll(begin, values)
        np.multiply(values, 1 / length, out=known[begin - top : end - top])
    for number in range(series):
        without_early(known[:, number], starts + (count - 1), bars)
    return out


def span_rows(width: int) -> int:
    return max(SPAN_VALUES // max(width, 1), 4)


def spans(first: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Give the bars from `first` to `end` in pieces (from, to) that fit the cache."""
    step = span_rows(width)
    for begin in range(first, end, step):
        yield begin, min(begin + step, end)


def without_early(values: Floats, ready: Whole, bars: int) -> Floats:
    """Set NaN in place above row `ready`, counted in all `bars` rows of which `values` are the newest; return them."""
    top = bars - values.shape[0]
    early = int(ready.max(initial=0)) - top
    if early > 0:
        head = values[:early]
        np.copyto(head, np.nan, where=np.arange(head.shape[0])[:, None] < ready - top)
    return values


def first_values(values: KeptT, starts: Whole, count: int) -> KeptT:
    """Return the first `count` values of each column; what lies past the end counts for nothing, as it is masked."""
    bars, oldest = len(values), int(starts.min(initial=len(values)))
    out = values[np.minimum(np.arange(oldest, oldest + count), bars - 1)]
    young = np.flatnonzero(starts != oldest)
    out[:, young] = _first_of(young, values, starts, count)
    return cast(KeptT, out)


def _first_of(columns: NDArray[np.intp], values: Kept, starts: Whole, count: int) -> Kept:
    return np.asarray(values[np.minimum(starts[columns] + np.arange(count)[:, None], len(values) - 1), columns])


def _weigh_first(values: Floats, starts: Whole, weights: Floats) -> Floats:
    """Return the sums of the first values of each column by these weights, (sums, N)."""
    count, oldest = weights.shape[1], int(starts.min(initial=len(values)))
    alike = values[oldest : oldest + count]
    out = weights[:, : len(alike)] @ alike
    young = np.flatnonzero(starts != oldest)
    out[:, young] = weights @ _first_of(young, values, starts, count)
    return out


def _at_row(values: Floats, end: int, starts: Whole, *, alpha: float, weights: Floats) -> tuple[Floats, Floats]:
    """Return the average at row `end`, in one product as it is linear in the values, and the seeds.

    All values count geometrically; of the first ones that is taken back, and they count with their `weights` instead.
    """
    keep = 1 - alpha
    tail = alpha * keep ** np.arange(end, -1, -1.0)
    of_first = keep ** -(len(weights) - 1.0) * weights - alpha * keep ** -np.arange(float(len(weights)))
    apart, seeds = _weigh_first(values, starts, np.stack([of_first, weights]))
    decay = keep ** np.maximum(end - starts, 0)
    return tail @ values[: end + 1] + decay * apart, seeds


def _go_on(out: Floats, ready: Whole, seeds: Floats, alpha: float) -> None:
    """Turn rows of alpha x, the first of them the average already, into averages; a column starts with its seed."""
    seeded = _columns_by_row(ready, out.shape[0])
    scratch = np.empty(out.shape[1])
    for row in range(out.shape[0]):
        if row:
            np.multiply(out[row - 1], 1 - alpha, out=scratch)
            np.add(out[row], scratch, out=out[row])
        if row in seeded:
            out[row, seeded[row]] = seeds[seeded[row]]


def _columns_by_row(ready: Whole, rows: int) -> dict[int, NDArray[np.intp]]:
    late = np.nonzero((ready >= 0) & (ready < rows))[0]
    order = late[np.argsort(ready[late], kind="stable")]
    begins = group_starts(ready[order])
    return {int(ready[columns[0]]): columns for columns in np.split(order, begins[1:]) if len(columns)}
