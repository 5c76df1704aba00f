from __future__ import annotations

import numpy as np
import pytest

from screener.measures.catalogue import Frame
from screener.patterns.window import DEPTH, Limits, Window
from tests.fix_patterns import bars_of, flat, walks

LONG = walks(5, 300, seed=3, tick=0.01, ragged=False)


def test_a_lag_counts_bars_back_and_above_the_first_bar_there_is_none() -> None:
    window = Window(bars_of([(1.0, 1.0, 1.0, 1.0), (2.0, 2.0, 2.0, 2.0), (3.0, 3.0, 3.0, 3.0)]), 1)
    assert window.close().tolist() == [[2.0], [3.0]]
    assert window.close(1).tolist() == [[1.0], [2.0]]
    assert np.isnan(window.close(2)[0, 0])
    assert window.close(2)[1, 0] == 1.0


def test_a_lag_reaches_back_as_far_as_the_window_is_deep() -> None:
    for lag in (0, 5, DEPTH - 1, DEPTH):
        assert Window.last(LONG).low(lag)[0].tolist() == LONG.low[299 - lag].astype(float).tolist()


@pytest.mark.parametrize("first", [0, 7, DEPTH, 250, 299])
@pytest.mark.parametrize("lag", [0, 1, 5])
def test_bars_and_measures_are_the_same_wherever_the_window_begins(first: int, lag: int) -> None:
    window, whole = Window(LONG, first), Window(LONG, 0)
    assert np.array_equal(window.high(lag), whole.high(lag)[first:], equal_nan=True)
    for name in ("sma50", "ema20", "highest20", "atr14"):
        assert np.allclose(window.measure(name, lag), whole.measure(name, lag)[first:], rtol=1e-12, equal_nan=True)


def test_far_back_is_the_bar_so_many_bars_before() -> None:
    assert Window.last(LONG).far_back("close", 199)[0].tolist() == LONG.close[-200].astype(float).tolist()


def test_a_ranking_of_the_market_is_taken_from_the_whole_of_it() -> None:
    ranked = {"rs_rating": np.array([[1.0, 50.0, 99.0]])}
    part = Window(LONG.columns(slice(0, 3)), 299, ranked=ranked)
    assert part.measure("rs_rating").tolist() == [[1.0, 50.0, 99.0]]
    assert part.columns(np.array([2])).measure("rs_rating").tolist() == [[99.0]]


def test_some_columns_keep_the_limits() -> None:
    window = Window(LONG, 299, limits=Limits(min_volume=5.0))
    assert window.columns(np.array([1])).limits.min_volume == 5.0
    assert window.columns(np.array([1])).bars.tickers == ("T1",)


def test_measures_that_are_there_already_are_not_computed_again() -> None:
    frame = Frame(LONG)
    held = frame.value("sma50", 1)
    assert Window(LONG, 299, frame=frame).measure("sma50") is held or np.shares_memory(
        Window(LONG, 299, frame=frame).measure("sma50"), held
    )


def test_a_young_ticker_has_no_more_bars_than_it_has() -> None:
    window = Window.last(bars_of(flat(12), flat(3)))
    assert window.has_bars(2).tolist() == [[True, True]]
    assert window.has_bars(3).tolist() == [[True, False]]
