from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings
from scanners.probe.search import Limit, Proposal, Search, proposals

SETTINGS = Settings()


def limit(found: int | None, refused: int | None = None) -> Limit:
    return Limit(believed=100, found=found, refused=refused)


def test_hints_are_tried_in_their_order_while_they_tell_something() -> None:
    search = Search(120)
    hints = [1, 100, 101, 120]
    tried = []
    while (number := search.next(hints)) is not None:
        tried.append(number)
        search.note(number, has_passed=number <= 100)
    assert tried == [1, 100, 101]
    assert (search.passed, search.failed) == (100, 101)


def test_where_all_passes_the_limit_is_only_at_least_the_most() -> None:
    search = Search(120)
    search.note(120, has_passed=True)
    assert search.next([]) is None
    assert (search.passed, search.failed) == (120, None)


@given(most=st.integers(1, 300), honoured=st.integers(0, 400), hints=st.lists(st.integers(0, 400), max_size=5))
def test_the_limit_is_found_whatever_the_hints_are(most: int, honoured: int, hints: list[int]) -> None:
    search, tries = Search(most), 0
    while (number := search.next(hints)) is not None:
        assert 1 <= number <= most
        search.note(number, has_passed=number <= honoured)
        tries += 1
    assert search.passed == min(honoured, most)
    assert search.failed == (honoured + 1 if honoured < most else None)
    assert tries <= len(hints) + 9  # 2 ** 9 > 300


@pytest.mark.parametrize(
    ("symbols", "batch"),
    [
        (limit(100, 101), limit(100, 101)),
        (limit(None), limit(None)),
        (limit(120), limit(200)),
        (limit(31), limit(30)),  # the table holds no more
        (limit(1, 2), limit(100, 150)),  # the canary alone; more would pass, but not how much more is known
    ],
)
def test_nothing_is_proposed_where_nothing_speaks_against_the_settings(symbols: Limit, batch: Limit) -> None:
    assert proposals(SETTINGS, symbols=symbols, batch=batch) == []


def test_less_is_proposed_also_from_a_lower_bound_and_more_only_if_it_is_exact() -> None:
    assert proposals(SETTINGS, symbols=limit(110, 111), batch=limit(50, 56)) == [
        Proposal(key="prices.symbols_per_connection", now=99, proposed=109),
        Proposal(key="metrics.batch_size", now=100, proposed=50),
    ]
