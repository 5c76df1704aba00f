"""Ranks and percentiles across the tickers of each row or session. Knows no field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from screener.expressions.fields import Floats

Across = Callable[[Floats], Floats]


def rank(values: Floats) -> Floats:
    """Return 1 for the largest, equal ones the same, NaN for NaN."""
    ordered, places = _ordered(values)
    ranks = np.full(values.shape, np.nan)
    ranks[places] = ordered.size - np.searchsorted(ordered, ordered, side="right") + 1
    return ranks


def percentile(values: Floats) -> Floats:
    """Return how many percent of the known values are smaller, equal ones counted half: 0-100, NaN for NaN."""
    ordered, places = _ordered(values)
    shares = np.full(values.shape, np.nan)
    below, upto = (np.searchsorted(ordered, ordered, side=side) for side in ("left", "right"))
    shares[places] = 50.0 * (below + upto) / max(1, ordered.size)
    return shares


def among(count: int, values: Floats) -> Floats:
    """Return 1 for those of which fewer than `count` are larger, else 0, NaN for NaN: dearer ranks are not wanted."""
    known = values[~np.isnan(values)]
    least = np.partition(known, -count)[-count] if len(known) > count else -np.inf
    return np.where(np.isnan(values), np.nan, values >= least)


def _ordered(values: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the known values in order, and the place of each: what is looked up in order is found in the cache."""
    places = np.argsort(values)[: values.size - int(np.isnan(values).sum())]  # NaN comes last
    return values[places], places


def newest(values: Floats, counted: NDArray[np.bool_], across: Across) -> Floats:
    """Apply `across` to one row (1, tickers), leaving out the tickers that are not `counted`."""
    return across(np.where(counted, values[0], np.nan))[None]


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
