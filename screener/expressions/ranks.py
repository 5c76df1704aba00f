"""Ranks and percentiles across the tickers of each row or session. Knows no field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from screener.expressions.fields import Floats

Across = Callable[[Floats], Floats]


def rank(values: Floats) -> Floats:
    """Return 1 for the largest, equal ones the same, NaN for NaN."""
    ordered, known = _ordered(values)
    ranks = np.full(values.shape, np.nan)
    ranks[known] = ordered.size - np.searchsorted(ordered, values[known], side="right") + 1
    return ranks


def percentile(values: Floats) -> Floats:
    """Return how many percent of the known values are smaller, equal ones counted half: 0-100, NaN for NaN."""
    ordered, known = _ordered(values)
    shares = np.full(values.shape, np.nan)
    found = values[known]
    below, upto = np.searchsorted(ordered, found, side="left"), np.searchsorted(ordered, found, side="right")
    shares[known] = 50.0 * (below + upto) / max(1, ordered.size)
    return shares


def _ordered(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    known = ~np.isnan(values)
    return np.sort(values[known]), known


def by_row(values: Floats, counted: NDArray[np.bool_], across: Across) -> Floats:
    """Apply `across` to each row of (rows, tickers), leaving out the tickers that are not `counted`."""
    return np.stack([across(np.where(counted, row, np.nan)) for row in values])


def by_session(values: Floats, sessions: NDArray[np.int32], across: Across) -> Floats:
    """Apply `across` to the values of each session, in whatever rows they stand (a halted ticker's stand lower)."""
    flat, days = values.ravel(), sessions.ravel()
    order = np.argsort(days, kind="stable")
    starts = np.flatnonzero(np.diff(days[order], prepend=-1))
    result = np.full(flat.shape, np.nan)
    for group in np.split(order, starts[1:]):
        if days[group[0]]:
            result[group] = across(flat[group])
    return result.reshape(values.shape)
