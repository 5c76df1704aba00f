"""Momentum within a session and before it: minute bars where they are kept, pre-market prices where Yahoo has one.

Of two conditions of that kind nothing can be said: no source gives the volume or the range before the open.
"""

from __future__ import annotations

import numpy as np

from screener.patterns.pattern import Pattern, buys, sells
from screener.patterns.window import Floats, Signs, Window

BARS = 5
AGREEING = 3
"""Of five minute bars three must go the same way."""
PREMARKET_GAP = 0.02


def intraday_momentum(window: Window) -> Signs:
    """Return +1 where 3 of 5 bars close above the one before and the last above the first's start; -1 mirrored."""
    rises = sum((window.close(lag) > window.close(lag + 1)).astype(int) for lag in range(BARS))
    falls = sum((window.close(lag) < window.close(lag + 1)).astype(int) for lag in range(BARS))
    up = (rises >= AGREEING) & (window.close() > window.close(BARS))
    return buys(up) + sells((falls >= AGREEING) & (window.close() < window.close(BARS)))


def premarket_gap(pre_market_price: Floats, close_before: Floats) -> Signs:
    """Return +1 where the price before the open is 2 % above the last close, -1 where it is 2 % below.

    Both (N,): `stocks_stock.pre_market_price` and the close of the newest completed bar; NaN gives 0.
    """
    gap = pre_market_price / close_before - 1.0
    # Prices of 24 bits: 10.2 / 10 - 1 is a little less than 0.02.
    return buys(gap >= PREMARKET_GAP - 1e-6) + sells(gap <= -PREMARKET_GAP + 1e-6)


def _premarket(window: Window) -> Signs:
    """A window whose newest row is the provisional bar of a session that has not opened: one price, no volume yet."""
    signs = premarket_gap(window.close(), window.close(1))
    return np.where(np.nan_to_num(window.volume()) == 0.0, signs, np.int16(0))


PATTERNS = (
    Pattern(
        name="intraday_momentum",
        doc="3 of the last 5 minute bars go one way, and so does the price over them",
        fire=intraday_momentum,
        base=120,
        stop_bar=0,
        needs="minute bars",
    ),
    Pattern(
        name="premarket_gap",
        doc="price before the open 2 % away from the last close",
        fire=_premarket,
        base=125,
        needs="pre-market price",
    ),
)
