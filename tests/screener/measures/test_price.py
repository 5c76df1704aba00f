from __future__ import annotations

import numpy as np
import pytest

from screener.cube.bars import Bars
from screener.measures.catalogue import Frame
from tests.fix_screener import by_hand, closes


def last(bars: Bars, *names: str) -> list[float]:
    frame = Frame(bars)
    return [float(frame[name][-1, 0]) for name in names]


def test_the_first_bar_has_no_gap_that_is_known() -> None:
    assert np.isnan(last(by_hand((10, 12, 9, 11)), "gap_percent", "gap_atr")).all()


def test_a_gap_is_measured_by_the_close_before_and_the_range_as_it_was() -> None:
    steady = [(10.0, 11.0, 9.0, 10.0)] * 20
    bars = by_hand(*steady, (13, 20, 13, 19))
    assert last(bars, "gap_percent", "gap_atr") == pytest.approx([30, 1.5])


def test_a_new_high_is_above_the_highs_of_the_year_before() -> None:
    year = [(10.0, 12.0, 9.0, 10.0)] * 252
    assert last(by_hand(*year, (11, 12.5, 11, 12.1)), "new_high_52w", "near_high_52w") == [1, 0]
    close = by_hand(*year, (11, 12.5, 11, 12))
    assert last(close, "new_high_52w", "near_high_52w", "distance_52w_high") == pytest.approx([0, 1, -4])
    assert last(by_hand(*year, (11, 12, 11, 11.6)), "near_high_52w") == [0]
    assert last(by_hand(*year, (9, 9, 8, 8.5)), "new_low_52w", "distance_52w_low") == [1, 6.25]
    assert np.isnan(last(by_hand(*year), "new_high_52w", "new_low_52w", "near_high_52w")).all()


def test_the_volume_is_measured_by_the_20_bars_before_it() -> None:
    bars = closes(*[5.0] * 21)
    bars.volume[-1] = 2000
    assert last(bars, "rvol20", "avg_volume20", "dollar_volume") == [2, 1050, 10_000]


def test_relative_strength_weighs_four_quarters() -> None:
    values = np.full(253, 100.0)
    values[[-1, -64, -127, -190, -253]] = [110, 100, 110, 55, 220]
    assert last(closes(*values), "rs_raw") == pytest.approx([0.4 * 10 + 0 + 0.2 * 100 - 0.2 * 50])


def test_the_momentum_of_a_year_leaves_its_last_month_out() -> None:
    values = np.full(253, 100.0)
    values[[-253, -22, -1]] = [80, 120, 1]
    assert last(closes(*values), "momentum_12_1") == pytest.approx([50])


@pytest.mark.parametrize(
    ("values", "expected"),
    [((1, 2, 3, 4), 3), ((5, 4, 6, 5, 4), -2), ((1, 2, 2), 0), (tuple(range(1, 30)), 10), ((3, 4), 1)],
)
def test_a_streak_counts_closes_in_one_direction_up_to_ten(values: tuple[float, ...], expected: int) -> None:
    assert last(closes(*values), "streak") == [expected]
