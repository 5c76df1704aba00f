"""What became of a condition: entries at the next open, exits so many closes later. Looks at no bar before entry
that the condition had not seen, and counts no event whose exit is not known yet.

An event is seen at the close of bar t. Entry: the open of bar t+1. Exit after h sessions: the close of bar t+h. For a
sale the return is turned round. A hit is a return above 0. The base rate is the share of all bars, whatever the
condition said, that would have been a hit: what a hit rate has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import Bars
from screener.patterns.window import Floats, Signs

Returns = NDArray[np.float32]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one condition, side and horizon; `total` and `squares` of returns as fractions."""

    events: int = 0
    hits: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, returns: Floats) -> None:
        self.events += len(returns)
        self.hits += int(np.count_nonzero(returns > 0.0))
        self.total += float(returns.sum())
        self.squares += float((returns * returns).sum())


@dataclass(slots=True, kw_only=True)
class Base:
    """What became of all bars, whatever a condition said."""

    bars: int = 0
    rose: int = 0
    fell: int = 0

    def add(self, returns: Returns) -> None:
        self.bars += returns.size - int(np.count_nonzero(np.isnan(returns)))
        self.rose += int(np.count_nonzero(returns > 0.0))
        self.fell += int(np.count_nonzero(returns < 0.0))


@dataclass(slots=True)
class Tallies:
    """By (name, side, horizon); and by horizon the base."""

    of: dict[tuple[str, int, int], Tally] = field(default_factory=dict)
    base: dict[int, Base] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Events:
    """Where a condition fired in a block, as places in its flattened rows, by side."""

    buys: NDArray[np.intp]
    sells: NDArray[np.intp]

    @classmethod
    def of(cls, signs: Signs) -> Events:
        flat = signs.ravel()
        places = np.flatnonzero(flat != 0)
        buys = flat[places] > 0
        return cls(places[buys], places[~buys])


def forward_returns(bars: Bars, first: int, horizon: int) -> Returns:
    """Return for rows `first` .. T the return from the next open to the close `horizon` bars on; NaN if not known."""
    result = np.full((bars.rows - first, bars.width), np.nan, np.float32)
    rows = bars.rows - first - horizon
    if rows > 0:
        opens, closes = bars.open[first + 1 : first + 1 + rows], bars.close[first + horizon :]
        np.divide(closes, opens, out=result[:rows])
        result[:rows] -= 1.0
        if int(bars.starts.max(initial=0)) > first:
            result[np.isnan(bars.close[first:])] = np.nan  # no bar, no event
    return result


def count(tallies: Tallies, fired: Mapping[str, Events], returns: Returns, horizon: int) -> None:
    """Add what became of each condition; `fired` and `returns` are of the same rows."""
    tallies.base.setdefault(horizon, Base()).add(returns)
    flat = returns.ravel()
    for name, events in fired.items():
        for side, places in ((1, events.buys), (-1, events.sells)):
            if len(places):
                gained = flat[places].astype(np.float64)
                tally = tallies.of.setdefault((name, side, horizon), Tally())
                tally.add(side * gained[~np.isnan(gained)])
