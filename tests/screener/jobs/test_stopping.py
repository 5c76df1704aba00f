from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.jobs.stopping import Counts, Criteria, account, cut, reason_to_stop, too_many, top_is_certain

HITS = np.array([False, True, True, False, True, True], np.intp)
RATINGS = np.array([math.nan, 80.0, 60.0, math.nan, 90.0, math.nan])


@pytest.mark.parametrize(
    ("criteria", "counts", "reason"),
    [
        (Criteria(), Counts(signals=9, processed=9, elapsed_s=9), None),
        (Criteria(max_signals=5), Counts(signals=4), None),
        (Criteria(max_signals=5), Counts(signals=5), "max_signals"),
        (Criteria(max_high_value=2), Counts(high_value=2), "max_high_value"),
        (Criteria(max_processed=10), Counts(processed=12), "max_processed"),
        (Criteria(timeout_s=1.5), Counts(elapsed_s=1.6), "timeout_s"),
    ],
)
def test_a_scan_ends_by_the_criterion_that_it_reaches(criteria: Criteria, counts: Counts, reason: str | None) -> None:
    assert reason_to_stop(criteria, counts) == reason


@pytest.mark.parametrize(
    ("criteria", "had", "tickers"),
    [
        (Criteria(), Counts(), 6),
        (Criteria(max_signals=2), Counts(), 3),
        (Criteria(max_signals=9), Counts(signals=6), 5),
        (Criteria(max_signals=9), Counts(), 6),
        (Criteria(max_high_value=2), Counts(), 5),
        (Criteria(max_processed=10), Counts(processed=8), 2),
        (Criteria(max_signals=3, max_processed=4), Counts(), 4),
    ],
)
def test_a_block_is_cut_at_the_ticker_that_reaches_the_criterion(criteria: Criteria, had: Counts, tickers: int) -> None:
    assert cut(HITS, RATINGS, criteria, had) == tickers


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 8))
def test_the_threshold_rule_never_misses_one_of_the_best(keys: list[float], top: int) -> None:
    """Bounds here are looser than the keys: the rule must hold for any bound that is not below its key."""
    order = sorted(keys, reverse=True)
    seen: list[float] = []
    for place, key in enumerate(order):
        seen.append(key)
        rest = order[place + 1 :]
        bound = max(rest, default=-math.inf) + 1.0 if rest else -math.inf
        if top_is_certain(np.array(seen), top, bound):
            break
    assert sorted(seen, reverse=True)[:top] == order[:top]


def test_without_a_bound_nothing_is_certain() -> None:
    assert not top_is_certain(np.array([3.0, 2.0]), 2, math.nan)
    assert not top_is_certain(np.array([3.0]), 2, -math.inf)
    assert top_is_certain(np.array([3.0, 2.0]), 2, 2.0)


def test_the_account_says_what_the_answer_covers_and_what_was_saved() -> None:
    told = account(
        reason="max_signals",
        exact=False,
        processed=25,
        total=100,
        armed_processed=10,
        armed=20,
        fetches=(5, 80),
    )
    assert (told["coverage"], told["armed_coverage"], told["skipped"]) == (0.25, 0.5, 75)
    assert (told["fetched"], told["fetches_saved"]) == (5, 75)
    assert (
        account(reason="all", exact=True, processed=0, total=0, armed_processed=0, armed=0, fetches=(0, 0))["coverage"]
        == 1.0
    )


def test_who_found_too_much_is_told_how_to_ask() -> None:
    assert too_many(20_009) == "20,009 results, more are not told: ask for fewer days or tickers, or the top"
