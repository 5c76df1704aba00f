"""Moving windows over time-major arrays. Knows no market and no name.

Arrays are (T, N), the oldest bar first. Each kernel gives the newest `rows` rows, float64, NaN on top where there are
fewer bars. A window gives the same to the last bit whether one row or all are asked for, and a NaN inside it concerns
it alone: windows are merged from halves (1, 2, 4 ... bars), never by adding the newest and taking away the oldest,
which drifts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]
Kept = NDArray[np.float32] | Floats
"""As the cube keeps prices, or widened."""
KeptT = TypeVar("KeptT", bound=Kept)
State = tuple[Any, ...]
Merge = Callable[[State, State, int, int], State]
"""(newer half, older half, bars in each) -> both together."""

LEAF_ROWS = 8
FEW_ROWS = 4  # up to here each row is summed by itself


def newest(values: KeptT, rows: int, *, lag: int = 0) -> KeptT:
    """Return `rows` rows that end `lag` bars before the newest."""
    end = max(values.shape[0] - lag, 0)
    start = end - rows
    if start >= 0:
        return cast(KeptT, values[start:end])
    missing = np.full((-start, *values.shape[1:]), np.nan)
    return cast(KeptT, np.concatenate([missing, values[:end]]))


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
    """Sums of float32 are exact in float64, in whatever order: unless prices a hundred million times apart meet."""
    values = newest(values, length + rows - 1)
    if values.dtype == np.float32 and rows <= FEW_ROWS:
        return np.stack([np.add.reduce(values[row : row + length], axis=0, dtype=np.float64) for row in range(rows)])
    return cast(Floats, sliding((widened(values),), length, rows, lambda new, old, *_: (new[0] + old[0],))[0])


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
        apart = new[0] - old[0] if in_new == in_old else new[0] * (in_old / in_new) - old[0]
        apart *= apart
        apart *= in_new / (in_old * (in_new + in_old))
        apart += new[1]
        apart += old[1]
        return new[0] + old[0], apart

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
