from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.patterns.candles.parts import Candles, bearish, bullish, every, signed
from screener.patterns.window import Window
from tests.fix_patterns import bars_of, flat, scaled, walks

BEFORE = flat(10)


def candle(*last: float) -> Candles:
    """Ten bars of body 0 and range 2, then this one."""
    return Candles(Window.last(bars_of([*BEFORE, last])))


def test_a_candle_has_a_body_and_two_shadows() -> None:
    at = candle(100.0, 107.0, 98.0, 104.0)
    assert (at.body().item(), at.upper().item(), at.lower().item()) == (4.0, 3.0, 2.0)
    assert (at.top().item(), at.bottom().item()) == (104.0, 100.0)
    assert at.white().item()
    assert not at.black().item()


def test_a_candle_that_closes_where_it_opened_counts_as_white() -> None:
    assert candle(100.0, 101.0, 99.0, 100.0).color().item() == 100


def test_limits_are_means_of_the_candles_before_and_not_of_its_own() -> None:
    at = candle(100.0, 140.0, 90.0, 130.0)
    assert at.tenth_of_range().item() == 0.1 * 2.0
    assert at.half_of_shadows().item() == 1.0
    assert (at.near().item(), at.far().item(), at.equal().item()) == (0.2 * 2.0, 0.6 * 2.0, 0.05 * 2.0)


def test_a_doji_may_be_as_thick_as_a_tenth_of_the_mean_range() -> None:
    assert candle(100.0, 101.0, 99.0, 100.125).doji().item()
    assert not candle(100.0, 101.0, 99.0, 100.25).doji().item()


def test_a_gap_lies_between_bodies_not_between_shadows() -> None:
    at = candle(100.5, 102.0, 99.0, 101.0)
    assert at.gap_up(0, 1).item()
    assert not at.gap_down(0, 1).item()


def test_signs_say_which_way() -> None:
    yes, no = np.array([[True]]), np.array([[False]])
    assert (bullish(yes).item(), bearish(yes).item(), signed(no, yes).item()) == (100, -100, -100)
    assert not every(yes, no).item()


@settings(max_examples=20, deadline=None)
@given(power=st.integers(min_value=-6, max_value=6))
def test_all_prices_times_two_to_some_power_leave_every_limit_where_it_was(power: int) -> None:
    bars = walks(6, 60, seed=4, tick=0.01)
    other_unit = scaled(bars, 2.0**power)
    one, other = Candles(Window(bars, 0)), Candles(Window(other_unit, 0))
    for name in ("long", "short", "doji", "no_upper", "no_lower", "long_upper"):
        assert np.array_equal(getattr(one, name)(), getattr(other, name)())
