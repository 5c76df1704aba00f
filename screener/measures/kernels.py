"""Moving windows and exponential averages over time-major arrays. Knows no market and no name.

Arrays are (T, N), the oldest bar first. Each kernel gives the newest `rows` rows, float64, NaN on top where there are
fewer bars. A window gives the same to the last bit whether one row or all are asked for, and a NaN inside it concerns
it alone: windows are merged from halves (1, 2, 4 ... bars), never by adding the newest and taking away the oldest,
which drifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]
Kept = NDArray[np.float32] | Floats
"""As the cube keeps prices, or widened."""
State = tuple[Any, ...]
Merge = Callable[[State, State, int, int], State]
"""(newer half, older half, bars in each) -> both together."""
Source = Callable[[int, int], Floats]
"""(from row, to row) -> (rows, series, N); 0 where a ticker has no value yet. Each row is asked once, in order."""

LEAF_ROWS = 8
SPAN_VALUES = 32_768  # 256 kB: some bars of a block of tickers fit the processor's nearer cache, all of them do not


def newest(values: Floats, rows: int, *, lag: int = 0) -> Floats:
    """Return `rows` rows that end `lag` bars before the newest."""
    end = max(values.shape[0] - lag, 0)
    start = end - rows
    if start >= 0:
        return values[start:end]
    missing = np.full((-start, *values.shape[1:]), np.nan)
    return np.concatenate([missing, values[:end]]).astype(np.float64, copy=False)


def sliding(state: State, length: int, rows: int, merge: Merge) -> State:
    """Return the merged state of the `length` bars that end at each of the newest `rows`."""
    needed = length + rows - 1
    parts = tuple(newest(part, needed) for part in state)
    if rows * length <= needed * length.bit_length():
        each = [_halved(tuple(part[row : row + length] for part in parts), length, merge) for row in range(rows)]
        return each[0] if rows == 1 else tuple(np.concatenate(column) for column in zip(*each, strict=True))
    return _doubled(parts, length, rows, merge)


def _halved(parts: State, length: int, merge: Merge) -> State:
    """One window: the pieces that the bits of `length` say, the smallest at its newest end."""
    held: State | None = None
    done, size = 0, 1
    while done < length:
        if length & size:
            end = length - done
            piece = _tree(tuple(part[end - size : end] for part in parts), merge)
            held = piece if held is None else merge(held, piece, done, size)
            done += size
        size *= 2
    assert held is not None
    return held


def _tree(parts: State, merge: Merge) -> State:
    """Halves merged with halves, down to a few bars that fit the cache and there at once."""
    count = parts[0].shape[0]
    if count > LEAF_ROWS:
        half = count // 2
        newer, older = tuple(part[half:] for part in parts), tuple(part[:half] for part in parts)
        return merge(_tree(newer, merge), _tree(older, merge), half, half)
    size = 1
    while count > size:
        parts = merge(tuple(part[1::2] for part in parts), tuple(part[0::2] for part in parts), size, size)
        size *= 2
    return parts


def _doubled(parts: State, length: int, rows: int, merge: Merge) -> State:
    """All windows at once: those of 1, 2, 4 ... bars, put together as the bits of `length` say."""
    held: State | None = None
    done, size = 0, 1
    while True:
        if length & size:
            end = parts[0].shape[0] - done
            piece = tuple(part[end - rows : end] for part in parts)
            held = piece if held is None else merge(held, piece, done, size)
            done += size
        if done == length:
            assert held is not None
            return held
        parts = merge(tuple(part[size:] for part in parts), tuple(part[:-size] for part in parts), size, size)
        size *= 2


def window_sum(values: Kept, length: int, rows: int) -> Floats:
    """Sums of float32 are float64 from the first two bars on: the same as if all had been widened before."""

    def merge(new: State, old: State, *_: int) -> State:
        return (np.add(new[0], old[0], dtype=np.float64),)

    return widened(sliding((values,), length, rows, merge)[0])


def window_mean(values: Kept, length: int, rows: int) -> Floats:
    return window_sum(values, length, rows) / length


def window_max(values: Kept, length: int, rows: int) -> Floats:
    return widened(sliding((values,), length, rows, lambda new, old, *_: (np.maximum(new[0], old[0]),))[0])


def window_min(values: Kept, length: int, rows: int) -> Floats:
    return widened(sliding((values,), length, rows, lambda new, old, *_: (np.minimum(new[0], old[0]),))[0])


def widened(values: Kept) -> Floats:
    return cast(Floats, values.astype(np.float64, copy=False))


def window_deviation(values: Floats, length: int, rows: int) -> Floats:
    """Return the population's standard deviation; of equal values it is exactly 0."""

    def merge(new: State, old: State, in_new: int, in_old: int) -> State:
        apart = new[0] / in_new - old[0] / in_old
        square = apart * apart
        square *= in_new * in_old / (in_new + in_old)
        return new[0] + old[0], new[1] + old[1] + square

    values = newest(values, length + rows - 1)
    _, squares = sliding((values, 0.0 * values), length, rows, merge)
    return np.asarray(np.sqrt(squares / length))


def window_weighted(values: Floats, length: int, rows: int) -> tuple[Floats, Floats]:
    """Return (sum, sum of value x bars before the newest of the window)."""

    def merge(new: State, old: State, in_new: int, _: int) -> State:
        return new[0] + old[0], new[1] + old[1] + in_new * old[0]

    values = newest(values, length + rows - 1)
    total, moment = sliding((values, 0.0 * values), length, rows, merge)
    return total, moment


def weighted_mean(values: Floats, length: int, rows: int) -> Floats:
    """Return the linearly weighted mean: the newest bar counts `length` times, the oldest once."""
    total, moment = window_weighted(values, length, rows)
    return (length * total - moment) / (length * (length + 1) / 2)


def line_end(values: Floats, length: int, rows: int) -> Floats:
    """Return the newest value of the least-squares line through the window."""
    total, moment = window_weighted(values, length, rows)
    mean_lag = (length - 1) / 2
    slope = (moment - mean_lag * total) * (12 / (length * (length * length - 1)))  # against the lag
    return total / length - slope * mean_lag


def mean_distance(values: Floats, length: int, means: Floats) -> Floats:
    """Return the mean absolute distance of the window's values from `means`, one row of it for each window."""
    rows = means.shape[0]
    total = np.abs(newest(values, rows) - means)
    for lag in range(1, length):
        total += np.abs(newest(values, rows, lag=lag) - means)
    return np.asarray(total / length)


def smooth(
    values: Floats,
    starts: Whole,
    rows: int,
    *,
    alpha: float,
    seed: int,
    seed_weight: float | None = None,
    skip: int = 0,
) -> Floats:
    """Return y += alpha (x - y), seeded with the mean of the first `seed` values of each column.

    `starts`: the row of each column's first value; above it `values` must be 0. `seed_weight`: what each value of the
    seed counts, 1 / seed if None. `skip`: values before the seed that count for nothing.
    """
    bars = values.shape[0]
    if not bars:
        return np.full((rows, values.shape[1]), np.nan)
    weight = 1 / seed if seed_weight is None else seed_weight
    first = _first_values(values, starts, skip + seed)
    ready = starts + (skip + seed - 1)
    top = max(bars - rows, 0)
    out = alpha * values[top:]
    out[0] = _at_row(values[: top + 1], starts, first, alpha=alpha, weights=np.repeat([0.0, weight], [skip, seed]))
    _go_on(out, ready - top, first[skip:].sum(axis=0) * weight, alpha)
    return newest(without_early(out, ready, bars), rows)


class Wilder:
    """S += x - S / length of values that come by bars, (series, N); S / length is Wilder's average of them.

    Seeded with the plain sum of the first `seed` values of each column, `starts` the row of its first; values above it
    must be 0.
    """

    def __init__(self, starts: Whole, bars: int, *, series: int, length: int, seed: int) -> None:
        self.sums, self._total = np.zeros((series, len(starts))), np.zeros((series, len(starts)))
        self._keep, self._ready = 1 - 1 / length, starts + (seed - 1)
        self._seeded, self._last = _columns_by_row(self._ready, bars), int(self._ready.max(initial=-1))

    def add(self, row: int, values: Floats) -> None:
        """Take in one bar."""
        np.multiply(self.sums, self._keep, out=self.sums)
        np.add(self.sums, values, out=self.sums)
        if row <= self._last:
            np.add(self._total, values, out=self._total)
            if row in self._seeded:
                columns = self._seeded[row]
                self.sums[:, columns] = self._total[:, columns]


def sweep(
    source: Source, bars: int, starts: Whole, rows: int, *, series: int, length: int, seed: int | None = None
) -> Floats:
    """Return (rows, series, N) Wilder averages of values that are made some bars at a time, never held as a whole."""
    count = length if seed is None else seed
    rolling = Wilder(starts, bars, series=series, length=length, seed=count)
    out = np.full((rows, series, len(starts)), np.nan)
    for first, end in spans(bars, len(starts)):
        values = source(first, end)
        for row in range(first, end):
            rolling.add(row, values[row - first])
            if row >= bars - rows:
                np.multiply(rolling.sums, 1 / length, out=out[row - bars])
    known = out[max(rows - bars, 0) :]
    for number in range(series):
        without_early(known[:, number], starts + (count - 1), bars)
    return out


def after_first(values: Floats, count: int) -> Floats:
    """Return the newest `count` rows; what lies above, a bar that has none before it, becomes 0."""
    values[: len(values) - count] = 0.0
    return values[len(values) - count :]


def span_rows(width: int) -> int:
    return max(SPAN_VALUES // max(width, 1), 4)


def spans(bars: int, width: int) -> Iterator[tuple[int, int]]:
    """Give all bars in pieces (from, to) that fit the cache."""
    step = span_rows(width)
    for first in range(0, bars, step):
        yield first, min(first + step, bars)


def without_early(values: Floats, ready: Whole, bars: int) -> Floats:
    """Set NaN in place above row `ready`, counted in all `bars` rows of which `values` are the newest; return them."""
    top = bars - values.shape[0]
    early = int(ready.max(initial=0)) - top
    if early > 0:
        head = values[:early]
        np.copyto(head, np.nan, where=np.arange(head.shape[0])[:, None] < ready - top)
    return values


def _first_values(values: Floats, starts: Whole, count: int) -> Floats:
    """Return the first `count` values of each column; what lies past the end counts for nothing, as it is masked."""
    bars = values.shape[0]
    if starts.size and int(starts.max()) == int(starts.min()) <= bars - count:
        return values[int(starts[0]) : int(starts[0]) + count]
    return np.take_along_axis(values, np.minimum(starts + np.arange(count)[:, None], bars - 1), axis=0)


def _at_row(values: Floats, starts: Whole, first: Floats, *, alpha: float, weights: Floats) -> Floats:
    """Return the average at the last row of `values`, in one product: it is linear in them.

    All values count geometrically; of the first ones that is taken back, and they count with their `weights` instead.
    """
    end, keep = values.shape[0] - 1, 1 - alpha
    tail = alpha * keep ** np.arange(end, -1, -1.0)
    of_first = keep ** -(len(weights) - 1.0) * weights - alpha * keep ** -np.arange(float(len(weights)))
    decay = keep ** np.maximum(end - starts, 0)
    return np.asarray(tail @ values + decay * (of_first @ first))


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
    if not late.size:
        return {}
    order = late[np.argsort(ready[late], kind="stable")]
    found, begins = np.unique(ready[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, begins[1:]), strict=True))
