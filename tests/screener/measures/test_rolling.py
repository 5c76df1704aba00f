from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.measures import rolling
from screener.measures.kernels import newest
from screener.measures.rolling import smooth
from tests.screener.measures.test_kernels import X, flat

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


def test_values_before_the_seed_count_for_nothing() -> None:
    assert flat(smooth(X, STARTS, 5, alpha=0.5, seed=2, skip=1)) == [None, None, 3, 5.5, 10.75]
    assert flat(smooth(X, STARTS, 1, alpha=0.5, seed=2, skip=1)) == pytest.approx([10.75])


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


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 70),
    length=st.integers(1, 20),
    early=st.integers(0, 1),
    starts=st.lists(st.integers(0, 60), min_size=1, max_size=4),
)
def test_wilders_average_leapt_to_equals_the_one_followed_bar_by_bar(
    rows: int, length: int, early: int, starts: list[int]
) -> None:
    begin, seed = np.array(starts), max(length - early, 1)
    values = np.random.default_rng(length).lognormal(0, 1, (60, 2, len(starts)))
    values[np.arange(60)[:, None, None] < np.tile(begin, (2, 1))] = 0
    first = rolling.first_values(values.transpose(0, 2, 1).copy(), begin, seed).transpose(0, 2, 1).copy()

    def source(start: int, end: int) -> np.ndarray:
        return values[start:end].copy()

    followed = rolling.sweep(source, 60, begin, rows, series=2, length=length, seed=seed)
    leapt = rolling.sweep(source, 60, begin, rows, series=2, length=length, seed=seed, first=first)
    np.testing.assert_allclose(leapt, followed, rtol=1e-12)
    for column, start in enumerate(starts):
        total = 0.0
        for row in range(start, 60):
            kept = 1 - 1 / length if row - start >= seed else 1.0
            total = total * kept + values[row, 0, column]
        expected = total / length if 60 - start >= seed else np.nan
        assert followed[-1, 0, column] == pytest.approx(expected, nan_ok=True)
