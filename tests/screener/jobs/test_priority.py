from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.jobs.priority import Armed, accuracy, both, either, in_order, tiers

NAN = float("nan")
INF = float("inf")


def armed(where: list[bool], distance: list[float]) -> Armed:
    return Armed(np.array(where), np.array(distance))


def test_what_can_fire_comes_first_the_nearest_before_the_farther_and_the_score_breaks_ties() -> None:
    state = armed([False, True, True, True, True], [0.0, 2.0, 0.5, 0.5, NAN])
    order = in_order(state, np.array([0, 3, 2, 4, 1]), np.arange(5))
    assert order.tolist() == [3, 2, 1, 4, 0]


def test_one_place_in_fifty_goes_to_whom_waited_longest() -> None:
    count = 200
    waited_longest = np.array([199, 150, *range(150), *range(151, 199)])
    order = in_order(armed([True] * count, list(range(count))), np.arange(count), waited_longest)
    assert (order[49], order[99]) == (199, 150)
    assert sorted(order.tolist()) == list(range(count))


@given(st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_every_ticker_has_one_place_whatever_is_known_of_it(count: int, seed: int) -> None:
    luck = np.random.default_rng(seed)
    distance = np.where(luck.random(count) < 0.2, NAN, luck.random(count))
    order = in_order(Armed(luck.random(count) < 0.5, distance), luck.permutation(count), luck.permutation(count))
    assert sorted(order.tolist()) == list(range(count))


@pytest.mark.parametrize("total", [3, 10, 8782])
def test_no_tier_is_empty(total: int) -> None:
    found = tiers(total)
    assert len(found) == total and set(found) == {"high", "medium", "low"}
    assert found.count("high") == pytest.approx(0.2 * total, abs=1)
    assert list(found) == sorted(found, key=["high", "medium", "low"].index)


def test_accuracy_is_the_share_of_the_signals_in_the_first_fifth() -> None:
    hits = np.zeros(10, np.bool_)
    hits[[0, 1, 9]] = True
    assert accuracy(hits) == pytest.approx(2 / 3)
    assert accuracy(np.zeros(4, np.bool_)) is None


def test_all_must_hold_so_the_farthest_counts_or_one_so_the_nearest_that_can() -> None:
    one, other = armed([True, False], [1.0, 0.0]), armed([True, True], [3.0, 2.0])
    joined, chosen = both([one, other]), either([one, other])
    assert joined.where.tolist() == [True, False] and joined.distance.tolist() == [3.0, 2.0]
    assert chosen.where.tolist() == [True, True] and chosen.distance.tolist() == [1.0, 2.0]
