"""Patterns of a single candle, as TA-Lib defines them. Finds; says nothing of what follows."""

from __future__ import annotations

import numpy as np

from screener.patterns.candles.parts import Candles, bearish, bullish, every
from screener.patterns.window import Flags, Floats, Signs


def coloured(at: Candles, found: Flags) -> Signs:
    """Return the colour of the candle where the pattern is found."""
    return found * at.color()


def belt_hold(at: Candles) -> Signs:
    opens_at_its_end = (at.white() & at.no_lower()) | (at.black() & at.no_upper())
    return coloured(at, at.long() & opens_at_its_end)


def closing_marubozu(at: Candles) -> Signs:
    closes_at_its_end = (at.white() & at.no_upper()) | (at.black() & at.no_lower())
    return coloured(at, at.long() & closes_at_its_end)


def doji(at: Candles) -> Signs:
    return bullish(at.doji())


def dragonfly_doji(at: Candles) -> Signs:
    return bullish(every(at.doji(), at.no_upper(), _some(at, at.lower())))


def gravestone_doji(at: Candles) -> Signs:
    return bullish(every(at.doji(), at.no_lower(), _some(at, at.upper())))


def hammer(at: Candles) -> Signs:
    near_the_low_before = at.bottom() <= at.low(1) + at.near(1)
    return bullish(every(at.short(), at.long_lower(), at.no_upper(), near_the_low_before))


def hanging_man(at: Candles) -> Signs:
    near_the_high_before = at.bottom() >= at.high(1) - at.near(1)
    return bearish(every(at.short(), at.long_lower(), at.no_upper(), near_the_high_before))


def inverted_hammer(at: Candles) -> Signs:
    return bullish(every(at.short(), at.long_upper(), at.no_lower(), at.gap_down(0, 1)))


def shooting_star(at: Candles) -> Signs:
    return bearish(every(at.short(), at.long_upper(), at.no_lower(), at.gap_up(0, 1)))


def high_wave(at: Candles) -> Signs:
    twice = 2.0 * at.body()
    return coloured(at, every(at.short(), at.upper() > twice, at.lower() > twice))


def long_legged_doji(at: Candles) -> Signs:
    return bullish(at.doji() & (at.long_lower() | at.long_upper()))


def long_line(at: Candles) -> Signs:
    return coloured(at, every(at.long(), *_short_shadows(at)))


def marubozu(at: Candles) -> Signs:
    return coloured(at, every(at.long(), at.no_upper(), at.no_lower()))


def rickshaw_man(at: Candles) -> Signs:
    middle = at.low() + (at.high() - at.low()) / 2.0
    near_the_middle = (at.bottom() <= middle + at.near()) & (at.top() >= middle - at.near())
    return bullish(every(at.doji(), at.long_lower(), at.long_upper(), near_the_middle))


def short_line(at: Candles) -> Signs:
    return coloured(at, every(at.short(), *_short_shadows(at)))


def spinning_top(at: Candles) -> Signs:
    return coloured(at, every(at.short(), at.long_upper(), at.long_lower()))


def takuri(at: Candles) -> Signs:
    return bullish(every(at.doji(), at.no_upper(), at.lower() > 2.0 * at.body()))


def hammer_classic(at: Candles) -> Signs:
    """The textbook's hammer, which is not TA-Lib's: lower shadow of two bodies, no upper one, below the mean of 10."""
    high, low, close = at.high(), at.low(), at.close()
    shaped = (at.lower() >= 2.0 * at.body()) & (at.upper() <= 0.1 * (high - low)) & (high > low)
    mean = sum(at.close(lag) for lag in range(1, 11)) / 10.0
    return bullish(shaped & (at.close(1) < mean) & ~np.isnan(close))


def _some(at: Candles, shadow: Floats) -> Flags:
    return shadow > at.tenth_of_range()


def _short_shadows(at: Candles) -> tuple[Flags, Flags]:
    return at.upper() < at.half_of_shadows(), at.lower() < at.half_of_shadows()
