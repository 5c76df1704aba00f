"""Patterns of two candles, as TA-Lib defines them. `lag` 1 is the first of them."""

from __future__ import annotations

import numpy as np

from screener.patterns.candles.parts import Candles, bearish, bullish, every, signed
from screener.patterns.window import Flags, Signs

EIGHTY = np.int16(80)
"""What TA-Lib gives an engulfing or a harami of which one end is level."""


def counterattack(at: Candles) -> Signs:
    level = (at.close() <= at.close(1) + at.equal(1)) & (at.close() >= at.close(1) - at.equal(1))
    return every(_opposite(at), at.long(1), at.long(), level) * at.color()


def dark_cloud_cover(at: Candles) -> Signs:
    inside = (at.close() > at.open(1)) & (at.close() < at.close(1) - at.body(1) * 0.5)
    return bearish(every(at.white(1), at.long(1), at.black(), at.open() > at.high(1), inside))


def doji_star(at: Candles) -> Signs:
    found = at.long(1) & at.doji()
    return signed(every(found, at.black(1), at.gap_down(0, 1)), every(found, at.white(1), at.gap_up(0, 1)))


def engulfing(at: Candles) -> Signs:
    start, end, start1, end1 = at.open(), at.close(), at.open(1), at.close(1)
    up = every(at.white(), at.black(1), ((end >= start1) & (start < end1)) | ((end > start1) & (start <= end1)))
    down = every(at.black(), at.white(1), ((start >= end1) & (end < start1)) | ((start > end1) & (end <= start1)))
    level = (start == end1) | (end == start1)
    return np.where(level, signed(up, down) // 100 * EIGHTY, signed(up, down))


def harami(at: Candles) -> Signs:
    return _harami(at, at.short_or_equal())


def harami_cross(at: Candles) -> Signs:
    return _harami(at, at.doji())


def homing_pigeon(at: Candles) -> Signs:
    inside = (at.open() < at.open(1)) & (at.close() > at.close(1))
    return bullish(every(at.black(1), at.black(), at.long(1), at.short_or_equal(), inside))


def in_neck(at: Candles) -> Signs:
    at_the_close = (at.close() <= at.close(1) + at.equal(1)) & (at.close() >= at.close(1))
    return bearish(_opens_below(at) & at_the_close)


def kicking(at: Candles) -> Signs:
    return np.where(_kicking(at), at.color(), np.int16(0))


def kicking_by_length(at: Candles) -> Signs:
    longer = np.where(at.body() > at.body(1), at.color(), at.color(1))
    return np.where(_kicking(at), longer, np.int16(0))


def matching_low(at: Candles) -> Signs:
    level = (at.close() <= at.close(1) + at.equal(1)) & (at.close() >= at.close(1) - at.equal(1))
    return bullish(every(at.black(1), at.black(), level))


def on_neck(at: Candles) -> Signs:
    at_the_low = (at.close() <= at.low(1) + at.equal(1)) & (at.close() >= at.low(1) - at.equal(1))
    return bearish(_opens_below(at) & at_the_low)


def piercing(at: Candles) -> Signs:
    above_the_middle = (at.close() < at.open(1)) & (at.close() > at.close(1) + at.body(1) * 0.5)
    return bullish(every(_opens_below(at), at.long(), above_the_middle))


def separating_lines(at: Candles) -> Signs:
    level = (at.open() <= at.open(1) + at.equal(1)) & (at.open() >= at.open(1) - at.equal(1))
    opens_at_its_end = (at.white() & at.no_lower()) | (at.black() & at.no_upper())
    return every(_opposite(at), level, at.long(), opens_at_its_end) * at.color()


def thrusting(at: Candles) -> Signs:
    below_the_middle = (at.close() > at.close(1) + at.equal(1)) & (at.close() <= at.close(1) + at.body(1) * 0.5)
    return bearish(_opens_below(at) & below_the_middle)


def _opposite(at: Candles) -> Flags:
    return (at.white(1) & at.black()) | (at.black(1) & at.white())


def _opens_below(at: Candles) -> Flags:
    """A long black candle, then a white one that opens below its low."""
    return every(at.black(1), at.long(1), at.white(), at.open() < at.low(1))


def _harami(at: Candles, small: Flags) -> Signs:
    found = at.long(1) & small
    held = every(found, at.top() <= at.top(1), at.bottom() >= at.bottom(1))
    wholly = every(held, at.top() < at.top(1), at.bottom() > at.bottom(1))
    size = np.where(wholly, np.int16(100), held * EIGHTY)
    return np.where(at.black(1), size, -size)


def _kicking(at: Candles) -> Flags:
    bare = every(at.no_upper(1), at.no_lower(1), at.no_upper(), at.no_lower())
    apart = (at.black(1) & (at.low() > at.high(1))) | (at.white(1) & (at.high() < at.low(1)))
    return every(_opposite(at), at.long(1), at.long(), bare, apart)
