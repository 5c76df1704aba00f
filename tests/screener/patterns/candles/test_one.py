from __future__ import annotations

import pytest

from screener.patterns.candles import one
from screener.patterns.candles.parts import Candles
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of

BEFORE: list[Bar] = [(100.0, 103.0, 97.0, 102.0), (102.0, 103.0, 97.0, 100.0)] * 6
"""Bodies of 2, ranges of 6, shadows of 4."""


def after(*last: float) -> Candles:
    return Candles(Window.last(bars_of([*BEFORE, last])))


@pytest.mark.parametrize(
    ("pattern", "bar", "sign"),
    [
        (one.marubozu, (100.0, 105.0, 100.0, 105.0), 100),
        (one.marubozu, (105.0, 105.0, 100.0, 100.0), -100),
        (one.doji, (100.0, 103.0, 97.0, 100.5), 100),
        (one.doji, (100.0, 103.0, 97.0, 101.0), 0),
        (one.dragonfly_doji, (100.0, 100.25, 96.0, 100.25), 100),
        (one.gravestone_doji, (100.0, 104.0, 100.0, 100.25), 100),
        (one.hammer, (99.0, 100.25, 95.0, 100.0), 0),
        (one.hammer, (97.0, 98.25, 94.0, 98.0), 100),
        (one.hanging_man, (103.0, 104.25, 99.0, 104.0), -100),
        (one.shooting_star, (103.0, 109.0, 103.0, 104.0), -100),
        (one.inverted_hammer, (98.0, 104.0, 98.0, 99.0), 100),
        (one.spinning_top, (100.0, 103.0, 98.0, 101.0), 100),
        (one.high_wave, (100.0, 104.0, 97.0, 101.0), 100),
        (one.long_line, (100.0, 106.0, 99.0, 105.0), 100),
        (one.short_line, (101.0, 102.0, 99.0, 100.0), -100),
        (one.belt_hold, (100.0, 106.0, 100.0, 105.0), 100),
        (one.closing_marubozu, (100.0, 105.0, 98.0, 105.0), 100),
        (one.takuri, (100.0, 100.25, 96.0, 100.25), 100),
        (one.rickshaw_man, (100.0, 103.0, 97.0, 100.25), 100),
        (one.long_legged_doji, (100.0, 103.0, 100.0, 100.25), 100),
    ],
)
def test_a_candle_drawn_by_hand_is_what_it_is_called(pattern: object, bar: Bar, sign: int) -> None:
    assert pattern(after(*bar)).item() == sign  # type: ignore[operator]


def test_the_textbooks_hammer_wants_a_shadow_of_two_bodies_below_the_mean_of_ten() -> None:
    low = (97.0, 98.0, 94.0, 98.0)
    assert one.hammer_classic(after(98.0, 98.0, 95.0, 97.0)).item() == 100
    assert one.hammer_classic(after(*low)).item() == 100
    assert one.hammer_classic(after(97.0, 98.0, 95.5, 98.0)).item() == 0
    assert one.hammer_classic(after(97.0, 99.0, 94.0, 98.0)).item() == 0
