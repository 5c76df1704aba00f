"""Where fresh numbers come from while a scan runs, if they must be fetched. Knows no network: others implement it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import RetryLater
from screener.cube.bars import FIELDS, Bars
from screener.expressions.fields import Bools


class FetchStopped(RetryLater):
    """The scan was over before the request was sent."""


@dataclass(frozen=True, slots=True)
class Stale:
    """`which`: tickers to fetch; `day`: the session that the scan is of, 0 = that of the newest bar there is.

    After the fetch, who still has no bar of that session has not traded in it: there is nothing of it to find.
    """

    which: Bools
    day: int = 0


class Feed(Protocol):
    """Fetches the newest bar of tickers, so many a request, at whatever rate it is allowed."""

    batch: int
    """Tickers a request."""

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        """Return which tickers have no bar of the running session, or one that was heard longer ago than that."""

    def fetch(self, bars: Bars, stopped: Callable[[], bool]) -> Bars:
        """Return the bars of these few tickers with what was fetched, as many rows; TickerdError if that failed.

        `stopped` is asked while it waits for its turn; once it says so: FetchStopped.
        """

    def close(self) -> None:
        """Let go of its connections."""


class NoFeed:
    """What is in the database is what is scanned."""

    batch = 1

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        return Stale(np.zeros(bars.width, np.bool_))

    def fetch(self, bars: Bars, stopped: Callable[[], bool]) -> Bars:
        return bars

    def close(self) -> None:
        pass


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
