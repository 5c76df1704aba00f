from __future__ import annotations

import numpy as np

from screener.expressions.ranks import among, by_session, newest, percentile, rank

NAN = float("nan")


def test_the_largest_ranks_first_and_equals_share_a_rank() -> None:
    assert np.array_equal(rank(np.array([10.0, 30.0, 30.0, NAN, 20.0])), [4, 1, 1, NAN, 3], equal_nan=True)


def test_a_percentile_counts_the_smaller_ones_and_half_of_the_equal_ones() -> None:
    assert np.array_equal(percentile(np.array([1.0, 2.0, 2.0, 4.0, NAN])), [12.5, 50, 50, 87.5, NAN], equal_nan=True)


def test_nothing_known_ranks_nobody() -> None:
    assert np.isnan(rank(np.array([NAN, NAN]))).all() and np.isnan(percentile(np.array([NAN]))).all()


def test_a_ticker_that_does_not_count_takes_no_place() -> None:
    values = np.array([[5.0, 9.0, 7.0]])
    expected = np.array([[2.0, NAN, 1.0]])
    assert np.array_equal(newest(values, np.array([True, False, True]), rank), expected, equal_nan=True)


def test_bars_are_ranked_within_their_session_in_whatever_row_they_stand() -> None:
    values = np.array([[1.0, 2.0, NAN], [3.0, 4.0, 9.0]])
    sessions = np.array([[10, 11, 0], [11, 12, 10]], np.int32)
    expected = np.array([[2.0, 2.0, NAN], [1.0, 1.0, 1.0]])
    assert np.array_equal(by_session(values, sessions, rank), expected, equal_nan=True)


def test_the_best_so_many_are_those_of_that_rank_with_their_equals() -> None:
    values = np.array([5.0, NAN, 9.0, 7.0, 7.0, 1.0])
    for count in range(1, 8):
        expected = np.where(np.isnan(rank(values)), NAN, rank(values) <= count)
        assert np.array_equal(among(count, values), expected, equal_nan=True), count
