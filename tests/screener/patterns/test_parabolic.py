from __future__ import annotations

import numpy as np
import pytest

from screener.patterns.lc import Measured
from screener.patterns.parabolic import burst, grade, parabolic_score
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of, flat

QUIET = flat(60)  # true range 2, so ATR 2; EMA9 100
NEXT = (100.0, 101.0, 99.0, 100.0)


def score(*rows: Bar) -> float:
    return float(parabolic_score(Window.last(bars_of([*QUIET, *rows, NEXT]))).item())


def test_a_quiet_stock_has_the_points_that_everyone_gets() -> None:
    # Thrust 0.5 ATR: 12. Burst: 10 at least. Volume as usual: 5. EMA9 and gap: nothing.
    assert score() == 27.0


def test_each_part_adds_what_its_table_says() -> None:
    # ATR is that of the bars before: 2. Open 102: gap 1 ATR (15). High 108: thrust 3 ATR (20).
    # EMA9 = 100 + 0.2 x (107 - 100) = 101.4: 3.3 ATR below the high (25). Volume 6,000 / 2,000 (10).
    # One growing day, wider than a day with a thrust of 0.5 ATR, with a gap: 12.5.
    assert score((102.0, 108.0, 102.0, 107.0, 6000.0)) == 20.0 + 25.0 + 12.5 + 10.0 + 15.0


def test_two_gaps_and_two_growing_days_reach_the_top_of_their_parts() -> None:
    first, second = (101.5, 104.0, 101.0, 103.5, 6000.0), (106.0, 116.0, 105.0, 115.0, 30000.0)
    window = Window.last(bars_of([*QUIET, first, second, NEXT]))
    assert burst(Measured(window)).item() == 20.0
    assert parabolic_score(window).item() == 100.0


def test_a_stock_without_the_bars_for_an_atr_has_no_score() -> None:
    assert np.isnan(parabolic_score(Window.last(bars_of([*QUIET[:10], NEXT]))).item())


@pytest.mark.parametrize(
    ("value", "expected"), [(90.0, "A+"), (89.9, "A"), (75.0, "A"), (60.0, "B"), (40.0, "C"), (39.0, "D")]
)
def test_a_score_has_a_grade(value: float, expected: str) -> None:
    assert grade(value) == expected
