from __future__ import annotations

import pytest
import talib

from screener.patterns.candles import three
from screener.patterns.candles.parts import Candles
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of

BEFORE: list[Bar] = [(100.0, 103.0, 97.0, 102.0), (102.0, 103.0, 97.0, 100.0)] * 6
SOUTH: list[Bar] = [(110.0, 111.0, 92.0, 102.0), (108.0, 108.5, 95.0, 101.0), (100.0, 100.0, 99.0, 99.0)]


def after(*rows: Bar) -> Candles:
    return Candles(Window.last(bars_of([*BEFORE, *rows])))


STAR: list[Bar] = [(106.0, 107.0, 99.0, 100.0), (98.0, 99.0, 97.0, 99.0), (100.0, 105.0, 99.0, 104.0)]
EVENING: list[Bar] = [(100.0, 107.0, 99.0, 106.0), (107.0, 109.0, 107.0, 108.0), (106.0, 107.0, 101.0, 102.0)]
SOLDIERS: list[Bar] = [(100.0, 103.0, 99.0, 103.0), (101.0, 104.5, 100.0, 104.5), (103.0, 106.5, 102.0, 106.5)]
INSIDE: list[Bar] = [(106.0, 107.0, 99.0, 100.0), (102.0, 104.0, 101.0, 103.0), (103.0, 108.0, 102.0, 107.0)]
OUTSIDE: list[Bar] = [(101.0, 102.0, 99.0, 100.0), (99.5, 103.0, 99.0, 102.0), (102.0, 104.0, 101.0, 103.0)]
SANDWICH: list[Bar] = [(103.0, 104.0, 99.0, 100.0), (101.0, 105.0, 100.5, 104.0), (104.0, 105.0, 99.0, 100.0)]
HIKKAKE: list[Bar] = [(100.0, 105.0, 95.0, 101.0), (101.0, 104.0, 96.0, 102.0), (100.0, 103.0, 95.0, 99.0)]


@pytest.mark.parametrize(
    ("pattern", "rows", "sign"),
    [
        (three.morning_star, STAR, 100),
        (three.evening_star, EVENING, -100),
        (three.three_white_soldiers, SOLDIERS, 100),
        (three.three_inside, INSIDE, 100),
        (three.three_outside, OUTSIDE, 100),
        (three.stick_sandwich, SANDWICH, 100),
        (three.hikkake, HIKKAKE, 100),
    ],
)
def test_three_candles_drawn_by_hand_are_what_they_are_called(pattern: object, rows: list[Bar], sign: int) -> None:
    assert pattern(after(*rows)).item() == sign  # type: ignore[operator]


def test_three_stars_in_the_south_which_random_bars_never_draw_agree_with_talib() -> None:
    bars = bars_of([*BEFORE, *SOUTH])
    series = [getattr(bars, field)[:, 0].astype(float) for field in ("open", "high", "low", "close")]
    assert talib.CDL3STARSINSOUTH(*series)[-1] == 100
    assert three.three_stars_in_south(Candles(Window.last(bars))).item() == 100


def test_a_hikkake_is_confirmed_once_by_the_first_close_beyond_its_inside_bar() -> None:
    confirms, again = (103.0, 106.0, 100.0, 105.0), (105.0, 107.0, 101.0, 106.0)
    assert three.hikkake(after(*HIKKAKE, confirms)).item() == 200
    assert three.hikkake(after(*HIKKAKE, confirms, again)).item() == 0
