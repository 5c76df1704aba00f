from __future__ import annotations

import pytest

from screener.patterns.candles import two
from screener.patterns.candles.parts import Candles
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of

BEFORE: list[Bar] = [(100.0, 103.0, 97.0, 102.0), (102.0, 103.0, 97.0, 100.0)] * 6


@pytest.mark.parametrize(
    ("pattern", "first", "second", "sign"),
    [
        (two.engulfing, (101.0, 102.0, 99.0, 100.0), (99.5, 103.0, 99.0, 102.0), 100),
        (two.engulfing, (101.0, 102.0, 99.0, 100.0), (100.0, 103.0, 99.0, 102.0), 80),
        (two.engulfing, (100.0, 102.0, 99.0, 101.0), (101.5, 103.0, 98.0, 99.0), -100),
        (two.harami, (106.0, 107.0, 99.0, 100.0), (102.0, 104.0, 101.0, 103.0), 100),
        (two.harami, (100.0, 107.0, 99.0, 106.0), (104.0, 107.0, 101.0, 106.0), -80),
        (two.harami_cross, (106.0, 107.0, 99.0, 100.0), (102.0, 104.0, 101.0, 102.25), 100),
        (two.dark_cloud_cover, (100.0, 106.0, 99.0, 105.0), (107.0, 107.0, 101.0, 102.0), -100),
        (two.piercing, (105.0, 106.0, 99.0, 100.0), (98.0, 104.0, 97.0, 103.0), 100),
        (two.piercing, (105.0, 106.0, 99.0, 100.0), (98.0, 104.0, 97.0, 102.0), 0),
        (two.kicking, (105.0, 105.0, 100.0, 100.0), (107.0, 112.0, 107.0, 112.0), 100),
        (two.doji_star, (105.0, 106.0, 99.0, 100.0), (98.0, 99.0, 97.0, 98.25), 100),
        (two.homing_pigeon, (106.0, 107.0, 99.0, 100.0), (103.0, 104.0, 101.0, 102.0), 100),
        (two.on_neck, (105.0, 106.0, 99.0, 100.0), (97.0, 99.5, 96.0, 99.0), -100),
        (two.in_neck, (105.0, 106.0, 99.0, 100.0), (97.0, 100.5, 96.0, 100.0), -100),
        (two.thrusting, (105.0, 106.0, 99.0, 100.0), (97.0, 103.0, 96.0, 102.0), -100),
        (two.matching_low, (103.0, 104.0, 99.0, 100.0), (102.0, 103.0, 99.0, 100.0), 100),
        (two.separating_lines, (104.0, 105.0, 99.0, 100.0), (104.0, 109.0, 104.0, 108.0), 100),
        (two.counterattack, (105.0, 106.0, 99.0, 100.0), (95.0, 101.0, 94.0, 100.0), 100),
    ],
)
def test_two_candles_drawn_by_hand_are_what_they_are_called(
    pattern: object, first: Bar, second: Bar, sign: int
) -> None:
    assert pattern(Candles(Window.last(bars_of([*BEFORE, first, second])))).item() == sign  # type: ignore[operator]


def test_kicking_by_length_follows_the_longer_of_two() -> None:
    black, white = (106.0, 106.0, 100.0, 100.0), (107.0, 110.0, 107.0, 110.0)
    at = Candles(Window.last(bars_of([*BEFORE, black, white])))
    assert two.kicking(at).item() == 100
    assert two.kicking_by_length(at).item() == -100
