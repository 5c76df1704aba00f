"""By hand what TA-Lib has no function for; the rest is held against it in test_catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from screener.measures import averages
from screener.measures.catalogue import Frame
from screener.measures.panel import Panel
from tests.fix_screener import by_hand, closes, walked


def test_vwap_weighs_the_typical_price_with_the_volume() -> None:
    bars = by_hand((10, 12, 9, 9), (20, 22, 18, 20))
    bars.volume[:, 0] = [300, 100]
    assert averages.vwap(Panel(bars), 2, 1)[0, 0] == (300 * 10 + 100 * 20) / 400
    assert averages.volume_weighted(Panel(bars), 2, 1)[0, 0] == (300 * 9 + 100 * 20) / 400


def test_no_volume_at_all_weighs_nothing() -> None:
    assert np.isnan(averages.vwap(Panel(closes(1, 2, 3, volume=0)), 2, 1)).all()


def test_hulls_average_follows_a_straight_line_without_delay() -> None:
    assert averages.hull(Panel(closes(*range(1, 41))), 9, 1)[0, 0] == pytest.approx(40, abs=1e-9)


def test_bands_of_one_line_have_no_place_between_them() -> None:
    frame = Frame(closes(*[7.0] * 30))
    assert frame["bb_width"][0, 0] == 0 and np.isnan(frame["bb_percent"][0, 0])
    assert frame["bb_upper"][0, 0] == frame["bb_lower"][0, 0] == 7


def squeezed(noise: float, reach: float) -> Frame:
    """Closes that swing by `noise` inside bars that reach `reach` beyond; then one bar far off."""
    bars = [(100.0, 100 + noise * (-1) ** n + reach, 100 - reach - noise, 100 + noise * (-1) ** n) for n in range(40)]
    return Frame(by_hand(*bars, (100, 130 + reach, 100 - reach, 130)), 2)


def test_a_squeeze_is_on_while_bars_are_wide_and_closes_are_not() -> None:
    frame = squeezed(0.1, 2.0)
    assert frame["squeeze_on"][:, 0].tolist() == [1, 0]
    assert frame["squeeze_momentum"][-1, 0] > 0
    loose = Frame(by_hand(*((n, n + 1, n - 1, n) for n in range(100, 140))), 2)
    assert loose["squeeze_on"][:, 0].tolist() == [0, 0]


def test_the_narrowest_bands_of_half_a_year_are_told() -> None:
    swings = [100 + (-1) ** n * (10 - n / 20) for n in range(160)]
    assert Frame(closes(*swings))["bb_width_squeeze"][0, 0] == 1
    assert Frame(closes(*swings, 150))["bb_width_squeeze"][0, 0] == 0


def test_the_squeeze_says_nothing_before_it_has_21_bars() -> None:
    assert np.isnan(Frame(walked(20, 21))["squeeze_on"][0]).tolist() == [True, False]
