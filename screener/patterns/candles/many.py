"""Patterns of four and five candles, as TA-Lib defines them. The highest `lag` is the first of them."""

from __future__ import annotations

from screener.patterns.candles.parts import Candles, bearish, bullish, every, signed
from screener.patterns.candles.three import confirmed
from screener.patterns.window import Flags, Signs


def three_black_crows(at: Candles) -> Signs:
    black = every(at.black(2), at.black(1), at.black(), at.no_lower(2), at.no_lower(1), at.no_lower())
    second = (at.open(1) < at.open(2)) & (at.open(1) > at.close(2))
    third = (at.open() < at.open(1)) & (at.open() > at.close(1))
    falling = every(at.high(3) > at.close(2), at.close(2) > at.close(1), at.close(1) > at.close())
    return bearish(every(at.white(3), black, second, third, falling))


def three_line_strike(at: Candles) -> Signs:
    opens = _opens_near(at, 2) & _opens_near(at, 1)
    white = every(at.white(3), at.white(2), at.white(1), at.black())
    up = every(white, at.close(1) > at.close(2), at.close(2) > at.close(3), at.open() > at.close(1))
    black = every(at.black(3), at.black(2), at.black(1), at.white())
    down = every(black, at.close(1) < at.close(2), at.close(2) < at.close(3), at.open() < at.close(1))
    return signed(every(opens, up, at.close() < at.open(3)), every(opens, down, at.close() > at.open(3)))


def conceal_baby_swallow(at: Candles) -> Signs:
    black = every(at.black(3), at.black(2), at.black(1), at.black())
    bare = every(at.no_lower(3), at.no_upper(3), at.no_lower(2), at.no_upper(2))
    third = every(at.gap_down(1, 2), at.upper(1) > at.tenth_of_range(1), at.high(1) > at.close(2))
    return bullish(every(black, bare, third, at.high() > at.high(1), at.low() < at.low(1)))


def breakaway(at: Candles) -> Signs:
    black = every(at.black(4), at.black(3), at.black(1), at.white(), at.gap_down(3, 4))
    falling = every(at.high(2) < at.high(3), at.low(2) < at.low(3), at.high(1) < at.high(2), at.low(1) < at.low(2))
    up = every(at.long(4), black, falling, at.close() > at.open(3), at.close() < at.close(4))
    white = every(at.white(4), at.white(3), at.white(1), at.black(), at.gap_up(3, 4))
    rising = every(at.high(2) > at.high(3), at.low(2) > at.low(3), at.high(1) > at.high(2), at.low(1) > at.low(2))
    return signed(up, every(at.long(4), white, rising, at.close() < at.open(3), at.close() > at.close(4)))


def ladder_bottom(at: Candles) -> Signs:
    opens = every(at.black(4), at.black(3), at.black(2), at.open(4) > at.open(3), at.open(3) > at.open(2))
    closes = every(at.close(4) > at.close(3), at.close(3) > at.close(2))
    fourth = at.black(1) & (at.upper(1) > at.tenth_of_range(1))
    return bullish(every(opens, closes, fourth, at.white(), at.open() > at.open(1), at.close() > at.high(1)))


def mat_hold(at: Candles) -> Signs:
    first = every(at.long(4), at.white(4), at.short(3), at.short(2), at.short(1), at.black(3), at.gap_up(3, 4))
    floor = at.close(4) - at.body(4) * 0.5
    held = every(at.bottom(2) < at.close(4), at.bottom(1) < at.close(4), at.bottom(2) > floor, at.bottom(1) > floor)
    falling = every(at.top(2) < at.open(3), at.top(1) < at.top(2))
    breaks = every(at.close() > at.high(3), at.close() > at.high(2), at.close() > at.high(1))
    return bullish(every(first, held, falling, at.white(), at.open() > at.close(1), breaks))


def rise_fall_three_methods(at: Candles) -> Signs:
    found = every(at.long(4), at.short(3), at.short(2), at.short(1), at.long())
    for lag in (3, 2, 1):
        found = every(found, at.bottom(lag) < at.high(4), at.top(lag) > at.low(4))
    up = every(at.white(4), at.black(3), at.black(2), at.black(1), at.white())
    up = every(up, at.close(2) < at.close(3), at.close(1) < at.close(2), at.open() > at.close(1))
    down = every(at.black(4), at.white(3), at.white(2), at.white(1), at.black())
    down = every(down, at.close(2) > at.close(3), at.close(1) > at.close(2), at.open() < at.close(1))
    return signed(every(found, up, at.close() > at.close(4)), every(found, down, at.close() < at.close(4)))


def modified_hikkake(at: Candles) -> Signs:
    up, down = [], []
    for lag in range(4):
        inside = (at.high(lag + 2) < at.high(lag + 3)) & (at.low(lag + 2) > at.low(lag + 3))
        inside = every(inside, at.high(lag + 1) < at.high(lag + 2), at.low(lag + 1) > at.low(lag + 2))
        lower = (at.high(lag) < at.high(lag + 1)) & (at.low(lag) < at.low(lag + 1))
        higher = (at.high(lag) > at.high(lag + 1)) & (at.low(lag) > at.low(lag + 1))
        near_low = at.close(lag + 2) <= at.low(lag + 2) + at.near(lag + 2)
        near_high = at.close(lag + 2) >= at.high(lag + 2) - at.near(lag + 2)
        up.append(every(inside, lower, near_low))
        down.append(every(inside, higher, near_high))
    return confirmed(at, up, down)


def _opens_near(at: Candles, lag: int) -> Flags:
    """The candle opens in or near the body of the one before."""
    near = at.near(lag + 1)
    return (at.open(lag) >= at.bottom(lag + 1) - near) & (at.open(lag) <= at.top(lag + 1) + near)
