"""By hand what TA-Lib does otherwise or not; the rest is held against it in test_catalogue."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from screener.cube.bars import align
from screener.measures import momentum
from screener.measures.catalogue import Frame
from screener.measures.panel import Panel
from tests.fix_screener import by_hand, closes, walk, walked


def test_wilders_rsi_by_hand() -> None:
    panel = Panel(closes(10, 11, 10, 13))  # gains 1 0 3, losses 0 1 0, over 2: (0.5 + 3) / 2 and 0.5 / 2
    assert momentum.rsi(panel, 2, 2)[:, 0].tolist() == [50, 100 * 1.75 / 2.0]


def test_a_price_that_only_rises_has_rsi_100_and_one_that_only_falls_0() -> None:
    assert momentum.rsi(Panel(closes(*range(1, 40))), 14, 1)[0, 0] == 100
    assert momentum.rsi(Panel(closes(*range(40, 1, -1))), 14, 1)[0, 0] == 0


def test_a_halted_price_has_no_rsi_rather_than_an_oversold_one() -> None:
    assert np.isnan(momentum.rsi(Panel(closes(*[9.0] * 150)), 14, 5)).all()


def test_a_ratio_to_nothing_is_not_known() -> None:
    assert np.isnan(momentum.ratio(np.array([0.0, 1.0]), np.zeros(2))).all()


def test_the_awesome_oscillator_is_the_difference_of_two_means_of_middles() -> None:
    panel = Panel(by_hand(*((n, n + 1, n - 1, n) for n in range(1, 35))))
    assert momentum.awesome(panel, 1)[0, 0] == 32 - 17.5


def test_the_stochastic_rsi_stands_in_the_range_of_its_rsi() -> None:
    panel = Panel(walked(300), 3)
    k, d = momentum.stochastic_rsi(panel, 3)
    rsi = momentum.rsi(panel, 14, 18)[:, 0]
    last = [
        100 * (rsi[-1 - n] - min(part)) / (max(part) - min(part)) for n in range(3) for part in [rsi[4 - n : 18 - n]]
    ]
    assert k[-1, 0] == pytest.approx(np.mean(last)) and d[-1, 0] == pytest.approx(k[:, 0].mean())


def test_a_change_is_in_percent_of_where_it_began() -> None:
    assert momentum.rate_of_change(Panel(closes(8, 9, 10)), 2, 1)[0, 0] == 25
    assert momentum.momentum(Panel(closes(8, 9, 10)), 2, 1)[0, 0] == 2


def test_the_macd_of_the_newest_bars_is_that_of_all_of_them_and_0_for_a_price_that_stands_still() -> None:
    bars = align([*walk([300, 300, 120, 40, 20]), replace(walk([300])[0], close=np.full(300, 9.7, np.float32))])
    for rows, name in product((1, 3), ("macd", "macd_signal", "macd_hist")):
        few, whole = Frame(bars, rows)[name], Frame(bars, bars.rows)[name][-rows:]
        np.testing.assert_allclose(few, whole, rtol=1e-10, atol=1e-12)
        assert (few[:, -1] == 0).all(), "a price that stands still"
