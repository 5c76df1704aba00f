from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.measures import kernels
from screener.measures.kernels import newest, smooth, window_deviation, window_sum

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


def test_what_a_window_has_forgotten_leaves_no_trace() -> None:
    """A running sum would keep what 1e16 rounded away."""
    values = np.array([[1e16], [1.0], [1.0], [1.0]])
    assert flat(window_sum(values, 3, 1)) == [3.0]
    holed = np.array([[1.0], [NAN], [1.0], [1.0], [1.0]])
    assert flat(window_sum(holed, 2, 5)) == [None, None, None, 2, 2]


STARTS = np.array([0])


def test_an_average_is_seeded_with_the_plain_mean() -> None:
    ours = smooth(X, STARTS, 5, alpha=0.5, seed=2)
    assert flat(ours) == [None, 1.5, 2.75, 5.375, 10.6875]
    assert flat(smooth(X, STARTS, 1, alpha=0.5, seed=2)) == pytest.approx([10.6875])


def test_each_column_is_seeded_where_its_own_bars_begin() -> None:
    values = np.array([[1.0, 0, 0], [2, 0, 0], [4, 4, 0], [8, 8, 0], [16, 16, 16]])
    starts = np.array([0, 2, 4])
    for rows in (1, 3, 5):
        ours = smooth(values, starts, rows, alpha=0.5, seed=2)[-1]
        assert ours[:2].tolist() == pytest.approx([10.6875, 11.0]) and np.isnan(ours[2])


def test_a_seed_may_weigh_other_than_a_mean() -> None:
    assert flat(smooth(X, STARTS, 5, alpha=0.25, seed=3, seed_weight=0.25))[:3] == [None, None, 1.75]
    assert flat(smooth(X, STARTS, 1, alpha=0.25, seed=3, seed_weight=0.25)) == pytest.approx([6.484375])


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 70), seed=st.integers(1, 30), starts=st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_an_average_asked_for_late_equals_the_one_followed_from_the_start(
    rows: int, seed: int, starts: list[int]
) -> None:
    begin = np.array(starts)
    values = np.random.default_rng(seed).lognormal(0, 1, (60, len(starts)))
    values[np.arange(60)[:, None] < begin] = 0
    whole = smooth(values, begin, 60, alpha=1 / seed, seed=seed)
    np.testing.assert_allclose(smooth(values, begin, rows, alpha=1 / seed, seed=seed), newest(whole, rows), rtol=1e-12)


def test_no_bars_have_no_average() -> None:
    assert np.isnan(smooth(np.zeros((0, 2)), np.array([0, 0]), 3, alpha=0.5, seed=2)).all()
