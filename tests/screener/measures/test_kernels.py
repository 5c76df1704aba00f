from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.measures import kernels
from screener.measures.kernels import newest, window_deviation, window_sum

X = np.array([[1.0], [2.0], [4.0], [8.0], [16.0]])
NAN = np.nan


def flat(values: np.ndarray) -> list[float]:
    return [None if np.isnan(value) else float(value) for value in values[:, 0]]  # type: ignore[misc]


def test_the_newest_rows_are_filled_up_with_nothing_where_bars_lack() -> None:
    assert flat(newest(X, 2)) == [8, 16] and flat(newest(X, 2, lag=1)) == [4, 8]
    assert flat(newest(X, 3, lag=3)) == [None, 1, 2] and flat(newest(X, 2, lag=9)) == [None, None]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_window_sums_its_bars_and_says_nothing_before_it_is_full(rows: int) -> None:
    assert flat(window_sum(X, 3, rows)) == [None, None, 7, 14, 28][-rows:]
    assert flat(kernels.window_max(X, 2, rows)) == [None, 2, 4, 8, 16][-rows:]
    assert flat(kernels.window_min(X, 2, rows)) == [None, 1, 2, 4, 8][-rows:]
    assert flat(kernels.window_mean(X, 1, rows)) == [1, 2, 4, 8, 16][-rows:]


def test_weighted_windows_by_hand() -> None:
    assert flat(kernels.weighted_mean(X, 3, 1)) == [(3 * 16 + 2 * 8 + 4) / 6]
    line = np.array([[1.0], [3.0], [5.0], [7.0]])
    assert flat(kernels.line_end(line, 4, 1)) == [7.0]
    assert flat(kernels.mean_distance(X, 2, kernels.window_mean(X, 2, 2))) == [2, 4]


def test_the_deviation_is_the_populations_and_0_for_equal_values() -> None:
    values = np.array([[2.0], [4.0], [4.0], [4.0], [5.0], [5.0], [7.0], [9.0]])
    assert flat(window_deviation(values, 8, 1)) == pytest.approx([2.0])
    odd = np.full((30, 1), 0.1)
    odd[0] = 1e9
    assert flat(window_deviation(odd, 20, 5)) == [0.0] * 5


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 40), rows=st.integers(1, 50), bars=st.integers(1, 60), seed=st.integers(0, 99))
def test_one_row_and_all_rows_agree_to_the_last_bit(length: int, rows: int, bars: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(0, 3, (bars, 3))
    for window in (window_sum, kernels.window_max, window_deviation, kernels.line_end):
        if window is kernels.line_end and length < 2:
            continue
        whole = window(values, length, bars)
        ours = window(values, length, rows)
        assert np.array_equal(newest(whole, rows), ours, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 40), rows=st.integers(1, 50), seed=st.integers(0, 99))
def test_sums_of_stored_prices_are_exact_in_whatever_order(length: int, rows: int, seed: int) -> None:
    prices = np.random.default_rng(seed).lognormal(0, 1, (60, 3)).astype(np.float32)
    ours = window_sum(prices, length, rows)
    for column in range(3):
        window = prices[60 - length :, column].tolist()
        assert ours[-1, column] == math.fsum(window)
    assert np.array_equal(newest(window_sum(prices, length, 60), rows), ours, equal_nan=True)


def test_what_a_window_has_forgotten_leaves_no_trace() -> None:
    """A running sum would keep what 1e16 rounded away."""
    values = np.array([[1e16], [1.0], [1.0], [1.0]])
    assert flat(window_sum(values, 3, 1)) == [3.0]
    holed = np.array([[1.0], [NAN], [1.0], [1.0], [1.0]])
    assert flat(window_sum(holed, 2, 5)) == [None, None, None, 2, 2]
