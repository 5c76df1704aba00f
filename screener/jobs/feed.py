"""Where fresh numbers come from while a scan runs, if they must be fetched. Knows no network: others implement it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import FIELDS, Bars
from screener.expressions.fields import Bools


class Feed(Protocol):
    """Fetches the newest bar of tickers, so many a request, at whatever rate it is allowed."""

    batch: int
    """Tickers a request."""

    def stale(self, bars: Bars) -> Bools:
        """Return which tickers' newest bar is not fresh enough."""

    def fetch(self, bars: Bars) -> Bars:
        """Return the bars of these few tickers with what was fetched, as many rows; TickerdError if that failed."""


class NoFeed:
    """What is in the database is what is scanned."""

    batch = 1

    def stale(self, bars: Bars) -> Bools:
        return np.zeros(bars.width, np.bool_)

    def fetch(self, bars: Bars) -> Bars:
        return bars


def batches(places: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    """Return `places` in pieces of `size`."""
    return [places[start : start + size] for start in range(0, len(places), size)]


def merged(bars: Bars, fetched: Sequence[tuple[NDArray[np.intp], Bars]]) -> Bars:
    """Return the market with the columns of `fetched` in their places."""
    if not fetched:
        return bars
    arrays: dict[str, Any] = {name: np.array(getattr(bars, name)) for name in ("session", *FIELDS, "counts")}
    provisional = np.zeros(bars.width, np.bool_) if bars.provisional is None else bars.provisional.copy()
    for places, part in fetched:
        for name, array in arrays.items():
            array[..., places] = getattr(part, name)
        provisional[places] = False if part.provisional is None else part.provisional
    return replace(bars, **arrays, provisional=provisional)
