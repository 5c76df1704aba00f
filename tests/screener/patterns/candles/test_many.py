from __future__ import annotations

import pytest
import talib

from screener.patterns.candles import many
from screener.patterns.candles.parts import Candles
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of

BEFORE: list[Bar] = [(100.0, 103.0, 97.0, 102.0), (102.0, 103.0, 97.0, 100.0)] * 6
RISING: list[Bar] = [
    (100.0, 107.0, 99.0, 106.0),
    (105.0, 106.0, 104.0, 104.5),
    (104.5, 105.0, 103.0, 103.5),
    (103.5, 104.0, 102.0, 102.5),
    (103.0, 109.0, 102.0, 108.0),
]
CROWS: list[Bar] = [
    (108.0, 112.0, 107.0, 111.0),
    (110.0, 111.0, 105.0, 105.25),
    (108.0, 109.0, 102.0, 102.25),
    (105.0, 106.0, 99.0, 99.25),
]
STRIKE: list[Bar] = [
    (100.0, 103.0, 99.0, 102.0),
    (101.0, 105.0, 100.0, 104.0),
    (103.0, 107.0, 102.0, 106.0),
    (107.0, 108.0, 98.0, 99.0),
]
LADDER: list[Bar] = [
    (110.0, 111.0, 106.0, 107.0),
    (107.0, 108.0, 103.0, 104.0),
    (104.0, 105.0, 100.0, 101.0),
    (101.0, 103.0, 97.0, 98.0),
    (102.0, 106.0, 101.0, 105.0),
]

SWALLOW: list[Bar] = [
    (110.0, 110.0, 105.0, 105.0),
    (104.0, 104.0, 100.0, 100.0),
    (99.0, 101.0, 96.0, 97.0),
    (102.0, 102.0, 94.0, 95.0),
]


@pytest.mark.parametrize(
    ("pattern", "rows", "sign"),
    [
        (many.rise_fall_three_methods, RISING, 100),
        (many.three_black_crows, CROWS, -100),
        (many.three_line_strike, STRIKE, 100),
        (many.ladder_bottom, LADDER, 100),
        (many.mat_hold, RISING, 0),
        (many.conceal_baby_swallow, SWALLOW, 100),
    ],
)
def test_candles_drawn_by_hand_are_what_they_are_called(pattern: object, rows: list[Bar], sign: int) -> None:
    assert pattern(Candles(Window.last(bars_of([*BEFORE, *rows])))).item() == sign  # type: ignore[operator]
    assert pattern(Candles(Window.last(bars_of([*BEFORE, *rows[:-1]])))).item() == 0  # type: ignore[operator]


def test_a_concealed_baby_swallow_which_random_bars_hardly_draw_agrees_with_talib() -> None:
    bars = bars_of([*BEFORE, *SWALLOW])
    series = [getattr(bars, field)[:, 0].astype(float) for field in ("open", "high", "low", "close")]
    assert talib.CDLCONCEALBABYSWALL(*series)[-1] == 100
