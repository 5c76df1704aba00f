from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.patterns.inside import PATTERNS
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of, flat, scaled, walks

FIRE = {pattern.name: pattern.fire for pattern in PATTERNS}
DISTANCE = {pattern.name: pattern.distance for pattern in PATTERNS}
MOTHER, INSIDE = (150.0, 152.0, 149.0, 151.0), (151.0, 151.5, 150.5, 151.2)
UP, DOWN = (151.2, 153.0, 151.0, 152.5), (151.2, 151.5, 149.5, 149.8)
BREAKS = ["inside_bar_bullish_breakout", "inside_bar_bearish_breakdown"]


def fires(name: str, *rows: Bar) -> int:
    return int(FIRE[name](Window.last(bars_of(rows))).item())


def test_a_close_above_the_inside_bar_buys_and_one_below_it_sells() -> None:
    assert [fires(name, MOTHER, INSIDE, UP) for name in BREAKS] == [1, 0]
    assert [fires(name, MOTHER, INSIDE, DOWN) for name in BREAKS] == [0, -1]


def test_the_break_must_be_a_thousandth_beyond_the_level() -> None:
    level = 151.5 * 1.001
    assert fires(BREAKS[0], MOTHER, INSIDE, (151.2, 153.0, 151.0, level - 0.01)) == 0
    assert fires(BREAKS[0], MOTHER, INSIDE, (151.2, 153.0, 151.0, level + 0.01)) == 1


def test_the_mother_bar_is_the_stricter_level() -> None:
    between = (151.2, 152.0, 151.0, 151.9)
    assert fires("inside_bar_bullish_breakout", MOTHER, INSIDE, between) == 1
    assert fires("mother_bar_bullish_breakout", MOTHER, INSIDE, between) == 0
    assert fires("mother_bar_bullish_breakout", MOTHER, INSIDE, UP) == 1
    assert fires("mother_bar_bearish_breakdown", MOTHER, INSIDE, (151.0, 151.0, 148.0, 148.5)) == -1


def test_without_an_inside_bar_before_it_no_break_is_one() -> None:
    for touching in ((151.0, 152.0, 150.5, 151.2), (151.0, 151.5, 149.0, 151.2)):
        assert fires(BREAKS[0], MOTHER, touching, UP) == 0
    assert fires(BREAKS[0], INSIDE, UP) == 0
    assert fires(BREAKS[0], UP) == 0


def test_an_outside_bar_goes_beyond_both_ends_and_is_followed_through_beyond_its_own() -> None:
    outside = (151.0, 153.0, 148.0, 149.0)
    assert fires("outside_bar", MOTHER, outside) == -1
    assert fires("outside_bar", MOTHER, (151.0, 152.0, 148.0, 149.0)) == 0
    assert fires("outside_bar_bullish", MOTHER, outside, (152.0, 154.0, 152.0, 153.5)) == 1
    assert fires("outside_bar_bearish", MOTHER, outside, (148.0, 148.0, 147.0, 147.5)) == -1


def test_the_narrowest_range_of_seven_may_be_as_narrow_as_another() -> None:
    wide, narrow = (100.0, 104.0, 96.0, 100.0), (100.0, 101.0, 99.0, 100.0)
    assert fires("nr7", *[wide] * 6, narrow) == 1
    assert fires("nr7", *[wide] * 5, narrow, narrow) == 1
    assert fires("nr7", *[wide] * 5, narrow, wide) == 0
    assert fires("nr7", *[wide] * 5, narrow) == 0  # six bars
    assert fires("nr4", *[wide] * 3, narrow) == 1
    assert fires("id_nr7", *[wide] * 6, narrow) == 1
    assert fires("id_nr7", *[wide] * 6, (103.0, 104.0, 103.0, 103.5)) == 0


@pytest.mark.parametrize("name", [name for name, distance in DISTANCE.items() if distance])
def test_no_pattern_fires_where_a_bar_earlier_it_was_told_that_it_cannot(name: str) -> None:
    window = Window(walks(40, 200, seed=8, tick=0.5), 0)
    distance = DISTANCE[name]
    assert distance is not None
    fired = FIRE[name](window)[1:] != 0
    armed = np.isfinite(distance(window)[:-1])
    warm = window.has_bars(15)[:-1]  # before there is an ATR nothing is armed
    assert fired[warm].any()
    assert not (fired & ~armed & warm).any()


def test_the_distance_to_a_break_is_that_to_its_level() -> None:
    rows = [*flat(20), (100.0, 100.5, 99.5, 100.0)]
    distance = DISTANCE["inside_bar_bullish_breakout"]
    assert distance is not None
    window = Window.last(bars_of(rows))
    atr = window.measure("atr14").item()
    assert distance(window).item() == pytest.approx((100.5 * 1.001 - 100.0) / atr)


@settings(max_examples=15, deadline=None)
@given(power=st.integers(min_value=-5, max_value=5), seed=st.integers(min_value=0, max_value=50))
def test_prices_in_another_unit_fire_the_same(power: int, seed: int) -> None:
    bars = walks(8, 40, seed=seed, tick=0.25)
    other = scaled(bars, 2.0**power)
    for name in BREAKS:
        assert np.array_equal(FIRE[name](Window(bars, 0)), FIRE[name](Window(other, 0)))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(min_value=0, max_value=50), kept=st.integers(min_value=1, max_value=39))
def test_a_later_bar_changes_no_earlier_answer(seed: int, kept: int) -> None:
    bars = walks(8, 40, seed=seed, tick=0.25, ragged=False)
    earlier = bars.until(int(bars.session[kept - 1, 0]))
    for name in FIRE:
        whole, then = FIRE[name](Window(bars, 0)), FIRE[name](Window.last(earlier))
        assert np.array_equal(whole[kept - 1], then[-1])
