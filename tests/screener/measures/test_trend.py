"""By hand what TA-Lib does otherwise or not; the rest is held against it in test_catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from screener.measures import trend
from screener.measures.panel import Panel
from tests.fix_screener import by_hand, closes


def test_the_true_range_reaches_to_the_close_before() -> None:
    bars = by_hand((10, 11, 9, 10), (13, 14, 12, 13), (9, 9, 7, 8))
    ranges = trend.true_range(Panel(bars), 3)[:, 0]
    assert np.isnan(ranges[0]) and ranges[1:].tolist() == [4, 6]
    assert trend.atr_simple(Panel(bars), 2, 1)[0, 0] == 5


def test_asking_for_wilders_range_leaves_the_true_range_as_it_is() -> None:
    panel = Panel(by_hand((10, 11, 9, 10), (13, 14, 12, 13), (9, 9, 7, 8)))
    trend.atr(panel, 2, 1)
    assert np.isnan(trend.true_range(panel, 3)[0, 0])


def test_the_daily_range_is_in_percent() -> None:
    assert trend.daily_range(Panel(by_hand((10, 11, 10, 10), (10, 13, 10, 10))), 2, 1)[0, 0] == pytest.approx(20)


def test_a_market_that_never_moved_has_no_trend_and_one_that_did_keeps_its() -> None:
    assert np.isnan(trend.adx(Panel(closes(*[5.0] * 60)), 14, 1)).all()
    assert trend.adx(Panel(closes(*range(10, 50), *[50.0] * 30)), 14, 1)[0, 0] > 90


def test_a_steady_rise_is_all_plus() -> None:
    panel = Panel(by_hand(*((n, n + 1, n - 1, n) for n in range(10, 60))))
    assert trend.minus_di(panel, 14, 1)[0, 0] == 0 and trend.plus_di(panel, 14, 1)[0, 0] == pytest.approx(50)
    assert trend.adx(panel, 14, 1)[0, 0] == pytest.approx(100)
