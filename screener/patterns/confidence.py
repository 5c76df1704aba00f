"""How many other things speak for a signal. Multiplies what the seed's scale multiplies; promises no hit rate."""

from __future__ import annotations

import numpy as np

from screener.patterns.window import Flags, Floats

VOLUME, TREND, MOMENTUM = 1.25, 1.15, 1.10
HIGHEST = 200.0
VOLUME_TIMES = 1.5
BUY_RSI = (40.0, 70.0)
SELL_RSI = (30.0, 60.0)
SESSIONS = {"regular": 1.0, "pre": 0.7, "post": 0.5}
"""What a signal is worth in the session of its price: before the open, after the close."""
FACTORS = ("volume", "trend", "momentum")


def factors(side: Floats, rvol: Floats, ema20: Floats, ema50: Floats, rsi: Floats) -> tuple[Flags, Flags, Flags]:
    """Return where volume (1.5 times the mean), trend (EMA20 against EMA50) and RSI14 (not spent yet) agree."""
    buy = side > 0
    room = np.where(buy, (rsi >= BUY_RSI[0]) & (rsi <= BUY_RSI[1]), (rsi >= SELL_RSI[0]) & (rsi <= SELL_RSI[1]))
    return rvol >= VOLUME_TIMES, np.where(buy, ema20 > ema50, ema20 < ema50), room


def confidence(base: Floats, agreeing: tuple[Flags, Flags, Flags], session: str = "regular") -> Floats:
    """Return 0-100: half of base x 1.25 (volume) x 1.15 (trend) x 1.10 (momentum), at most 200, x the session's."""
    volume, trend, momentum = agreeing
    raw = base * np.where(volume, VOLUME, 1.0) * np.where(trend, TREND, 1.0) * np.where(momentum, MOMENTUM, 1.0)
    return np.minimum(raw, HIGHEST) * SESSIONS[session] / 2.0
