"""What a pattern is. Knows none by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from screener.patterns.window import Flags, Floats, Signs, Window

NEVER = np.inf
"""Distance of a ticker that cannot fire on its next bar, whatever the price does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A condition on the newest bar of each row, and how it is traded.

    `fire(window)`: positive where it says buy, negative where it says sell, 0 where it is not there.
    `distance(window)`: on completed bars, how many ATR14 the price is from firing on the next bar; NEVER where it
    cannot; None where today's bars do not tell, as of a gap at tomorrow's open.
    `base`: confidence before confluence, 0-200. `entry`: at the close, or at a stop order beyond this bar's end.
    `stop_bar`: the stop is the other end of the bar so many bars ago; None: 1.5 ATR14 from the entry.
    `needs`: the bars that it is meant for. `ranked`: the measures of the whole market that it asks for.
    `graded`: its signals carry the grade of the run's parabolic score.
    """

    name: str
    doc: str
    fire: Callable[[Window], Signs]
    distance: Callable[[Window], Floats] | None = None
    base: int = 100
    entry: Literal["close", "break"] = "close"
    stop_bar: int | None = None
    needs: Literal["daily bars", "minute bars", "pre-market price"] = "daily bars"
    ranked: tuple[str, ...] = ()
    graded: bool = False


def buys(found: Flags) -> Signs:
    return found.astype(np.int16)


def sells(found: Flags) -> Signs:
    return -found.astype(np.int16)


def with_trend(window: Window, found: Flags) -> Signs:
    """Return +1 or -1 as the close lies above or below SMA50: for what says that a move comes, not where to.

    Where there is no SMA50 yet: +1.
    """
    return either(found, down=window.close() < window.measure("sma50"))


def either(found: Flags, *, down: Flags) -> Signs:
    """Return +1 where found, -1 where found and `down`."""
    return np.where(down, -buys(found), buys(found))


def in_atr(window: Window, price_distance: Floats, where: Flags | None = None) -> Floats:
    """Return a distance in price as one in ATR14, at least 0; NEVER where not `where` or where it is not known."""
    distance = np.maximum(price_distance, 0.0) / window.measure("atr14")
    known = ~np.isnan(distance) if where is None else ~np.isnan(distance) & where
    return np.where(known, distance, NEVER)
