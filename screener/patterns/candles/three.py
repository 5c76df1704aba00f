"""Patterns of three candles, as TA-Lib defines them. `lag` 2 is the first of them."""

from __future__ import annotations

from screener.patterns.candles.parts import Candles, bearish, bullish, every, signed
from screener.patterns.window import Flags, Signs


def two_crows(at: Candles) -> Signs:
    first = every(at.white(2), at.long(2), at.black(1), at.gap_up(1, 2))
    third = every(at.black(), at.open() < at.open(1), at.open() > at.close(1))
    return bearish(every(first, third, at.close() > at.open(2), at.close() < at.close(2)))


def upside_gap_two_crows(at: Candles) -> Signs:
    first = every(at.white(2), at.long(2), at.black(1), at.short_or_equal(1), at.gap_up(1, 2))
    third = every(at.black(), at.open() > at.open(1), at.close() < at.close(1))
    return bearish(every(first, third, at.close() > at.close(2)))


def three_inside(at: Candles) -> Signs:
    found = every(at.long(2), at.short_or_equal(1), at.top(1) < at.top(2), at.bottom(1) > at.bottom(2))
    down = every(found, at.white(2), at.black(), at.close() < at.open(2))
    return signed(every(found, at.black(2), at.white(), at.close() > at.open(2)), down)


def three_outside(at: Candles) -> Signs:
    up = every(at.white(1), at.black(2), at.close(1) > at.open(2), at.open(1) < at.close(2))
    down = every(at.black(1), at.white(2), at.open(1) > at.close(2), at.close(1) < at.open(2))
    return signed(up & (at.close() > at.close(1)), down & (at.close() < at.close(1)))


def three_stars_in_south(at: Candles) -> Signs:
    first = every(_all_black(at), at.long(2), at.long_lower(2))
    opens = every(at.open(1) > at.close(2), at.open(1) <= at.high(2))
    second = every(at.body(1) < at.body(2), opens, at.low(1) < at.close(2), at.low(1) >= at.low(2))
    third = every(at.short(), at.no_lower(), at.no_upper(), at.low() > at.low(1), at.high() < at.high(1))
    return bullish(every(first, second, at.lower(1) > at.tenth_of_range(1), third))


def three_white_soldiers(at: Candles) -> Signs:
    bare = every(at.no_upper(2), at.no_upper(1), at.no_upper())
    sizes = every(at.body(1) > at.body(2) - at.far(2), at.body() > at.body(1) - at.far(1), at.not_short())
    return bullish(every(_all_white(at), bare, _rising_closes(at), _opens_in_the_one_before(at), sizes))


def identical_three_crows(at: Candles) -> Signs:
    bare = every(at.no_lower(2), at.no_lower(1), at.no_lower())
    falling = (at.close(2) > at.close(1)) & (at.close(1) > at.close())
    level1 = (at.open(1) <= at.close(2) + at.equal(2)) & (at.open(1) >= at.close(2) - at.equal(2))
    level = (at.open() <= at.close(1) + at.equal(1)) & (at.open() >= at.close(1) - at.equal(1))
    return bearish(every(_all_black(at), bare, falling, level1, level))


def advance_block(at: Candles) -> Signs:
    body, body1, body2 = at.body(), at.body(1), at.body(2)
    shrinking = (body < body1) & (body1 < body2)
    shadows = (at.upper() > at.half_of_shadows()) | (at.upper(1) > at.half_of_shadows(1))
    weaker = (body1 < body2 - at.far(2)) & (body < body1 + at.near(1))
    weaker = weaker | (body < body1 - at.far(1)) | (shrinking & shadows) | ((body < body1) & at.long_upper())
    strong = every(_all_white(at), _rising_closes(at), _opens_in_the_one_before(at), at.long(2))
    return bearish(every(strong, at.upper(2) < at.half_of_shadows(2), weaker))


def stalled_pattern(at: Candles) -> Signs:
    strong = every(_all_white(at), _rising_closes(at), at.long(2), at.long(1), at.no_upper(1))
    second = (at.open(1) > at.open(2)) & (at.open(1) <= at.close(2) + at.near(2))
    rides = at.open() >= at.close(1) - at.body() - at.near(1)
    return bearish(every(strong, second, at.short(), rides))


def abandoned_baby(at: Candles) -> Signs:
    found = every(at.long(2), at.doji(1), at.not_short())
    up = every(found, at.black(2), at.white(), at.close() > at.close(2) + at.body(2) * 0.3)
    down = every(found, at.white(2), at.black(), at.close() < at.close(2) - at.body(2) * 0.3)
    up = every(up, at.high(1) < at.low(2), at.low() > at.high(1))
    return signed(up, every(down, at.low(1) > at.high(2), at.high() < at.low(1)))


def evening_star(at: Candles) -> Signs:
    return _evening(at, at.short_or_equal(1))


def evening_doji_star(at: Candles) -> Signs:
    return _evening(at, at.doji(1))


def morning_star(at: Candles) -> Signs:
    return _morning(at, at.short_or_equal(1))


def morning_doji_star(at: Candles) -> Signs:
    return _morning(at, at.doji(1))


def gap_side_by_side_white(at: Candles) -> Signs:
    size = (at.body() >= at.body(1) - at.near(1)) & (at.body() <= at.body(1) + at.near(1))
    level = (at.open() >= at.open(1) - at.equal(1)) & (at.open() <= at.open(1) + at.equal(1))
    found = every(at.white(1), at.white(), size, level)
    up = every(found, at.gap_up(1, 2), at.gap_up(0, 2))
    return signed(up, every(found, at.gap_down(1, 2), at.gap_down(0, 2)))


def stick_sandwich(at: Candles) -> Signs:
    level = (at.close() <= at.close(2) + at.equal(2)) & (at.close() >= at.close(2) - at.equal(2))
    return bullish(every(at.black(2), at.white(1), at.black(), at.low(1) > at.close(2), level))


def tasuki_gap(at: Candles) -> Signs:
    size = abs(at.body(1) - at.body()) < at.near(1)
    up = every(at.gap_up(1, 2), at.white(1), at.black(), at.open() < at.close(1), at.open() > at.open(1))
    up = every(up, at.close() < at.open(1), at.close() > at.top(2), size)
    down = every(at.gap_down(1, 2), at.black(1), at.white(), at.open() < at.open(1), at.open() > at.close(1))
    return signed(up, every(down, at.close() > at.open(1), at.close() < at.bottom(2), size))


def tristar(at: Candles) -> Signs:
    """Three dojis, all measured against the candles before the first."""
    limit = at.tenth_of_range(2)
    found = every(at.body(2) <= limit, at.body(1) <= limit, at.body() <= limit)
    down = every(found, at.gap_up(1, 2), at.top() < at.top(1))
    return signed(every(found, at.gap_down(1, 2), at.bottom() > at.bottom(1)), down)


def unique_three_river(at: Candles) -> Signs:
    second = every(at.black(1), at.close(1) > at.close(2), at.open(1) <= at.open(2), at.low(1) < at.low(2))
    return bullish(every(at.long(2), at.black(2), second, at.short(), at.white(), at.open() > at.low(1)))


def side_gap_three_methods(at: Candles) -> Signs:
    opens_inside = (at.open() < at.top(1)) & (at.open() > at.bottom(1))
    found = every(opens_inside, at.close() < at.top(2), at.close() > at.bottom(2))
    up = every(found, at.white(2), at.white(1), at.black(), at.gap_up(1, 2))
    return signed(up, every(found, at.black(2), at.black(1), at.white(), at.gap_down(1, 2)))


def hikkake(at: Candles) -> Signs:
    """A false break of an inside bar: 100; 200 at the close beyond the inside bar that confirms it in three bars."""
    return confirmed(at, *_inside_breaks(at, range(4)))


def confirmed(at: Candles, up: list[Flags], down: list[Flags]) -> Signs:
    """Return 100 at a hikkake and 200 at its confirmation; `up[k]`, `down[k]` are those found k bars ago."""
    result = signed(up[0], down[0])
    for ago in (3, 2, 1):
        fresh = ~(up[0] | down[0])
        for later in range(1, ago):
            fresh &= ~(up[later] | down[later])
        above = [at.close(lag) > at.high(ago + 1) for lag in range(ago)]
        below = [at.close(lag) < at.low(ago + 1) for lag in range(ago)]
        # Only the first close beyond the level confirms.
        for lag in range(1, ago):
            above[0], below[0] = above[0] & ~above[lag], below[0] & ~below[lag]
        result = result + 2 * signed(every(up[ago], fresh, above[0]), every(down[ago], fresh, below[0]))
    return result


def _inside_breaks(at: Candles, lags: range) -> tuple[list[Flags], list[Flags]]:
    up, down = [], []
    for lag in lags:
        inside = (at.high(lag + 1) < at.high(lag + 2)) & (at.low(lag + 1) > at.low(lag + 2))
        up.append(every(inside, at.high(lag) < at.high(lag + 1), at.low(lag) < at.low(lag + 1)))
        down.append(every(inside, at.high(lag) > at.high(lag + 1), at.low(lag) > at.low(lag + 1)))
    return up, down


def _all_black(at: Candles) -> Flags:
    return every(at.black(2), at.black(1), at.black())


def _all_white(at: Candles) -> Flags:
    return every(at.white(2), at.white(1), at.white())


def _rising_closes(at: Candles) -> Flags:
    return (at.close() > at.close(1)) & (at.close(1) > at.close(2))


def _opens_in_the_one_before(at: Candles) -> Flags:
    second = (at.open(1) > at.open(2)) & (at.open(1) <= at.close(2) + at.near(2))
    return every(second, at.open() > at.open(1), at.open() <= at.close(1) + at.near(1))


def _evening(at: Candles, small: Flags) -> Signs:
    first = every(at.white(2), at.long(2), small, at.gap_up(1, 2))
    return bearish(every(first, at.black(), at.not_short(), at.close() < at.close(2) - at.body(2) * 0.3))


def _morning(at: Candles, small: Flags) -> Signs:
    first = every(at.black(2), at.long(2), small, at.gap_down(1, 2))
    return bullish(every(first, at.white(), at.not_short(), at.close() > at.close(2) + at.body(2) * 0.3))
