from __future__ import annotations

import numpy as np

from screener.jobs.feed import NoFeed, batches, merged
from tests.fix_scans import bars_of

BARS = bars_of({"A": [1.0, 2.0], "B": [3.0, 4.0], "C": [5.0, 6.0]})


def test_places_are_cut_into_requests() -> None:
    assert [batch.tolist() for batch in batches(np.array([4, 2, 9, 1, 0]), 2)] == [[4, 2], [9, 1], [0]]


def test_fetched_columns_take_their_places_and_the_others_stay() -> None:
    fresh = bars_of({"C": [5.0, 9.0], "A": [1.0, 7.0]})
    found = merged(BARS, [(np.array([2, 0]), fresh)])
    assert found.close[-1].tolist() == [7.0, 4.0, 9.0]
    assert BARS.close[-1].tolist() == [2.0, 4.0, 6.0]
    assert merged(BARS, []) is BARS


def test_without_a_feed_nothing_is_stale() -> None:
    feed = NoFeed()
    assert not feed.stale(BARS, max_age_s=60.0).which.any() and feed.fetch(BARS, lambda: True) is BARS
    feed.close()
