from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from core.errors import RetryLater
from screener.cube.bars import Bars
from screener.jobs.feed import FetchStopped, Stale
from screener.jobs.fetching import Fetching
from screener.jobs.market import Market
from screener.jobs.request import plan, read_request
from tests.fix_scans import market_of

MARKET = market_of({name: [1.0, 2.0, 3.0] for name in "ABCDEF"})
DAY = MARKET.newest_day


class Prices:
    """Everything but A is stale; C's request fails, and the one of F never gets its turn."""

    batch = 2

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        return Stale(np.array(bars.tickers) != "A", DAY)

    def fetch(self, bars: Bars, stopped: Callable[[], bool]) -> Bars:
        if "C" in bars.tickers:
            raise RetryLater("no answer")
        if "F" in bars.tickers:
            raise FetchStopped("over")
        return bars

    def close(self) -> None:
        pass


def fetching(market: Market = MARKET, **given: Any) -> Fetching:
    request = read_request({"expression": "close > 0", **given})
    return Fetching(Prices(), plan(request, market.vocabulary, lambda: market.bars), market)


def test_a_scan_that_asks_for_nothing_fresh_fetches_nothing() -> None:
    none = fetching()
    assert not none.any and none.day == 0 and not none.chosen(np.arange(6)).any()
    assert none.closed(MARKET) is MARKET.before() and none.traded(MARKET).all()


def test_each_batch_comes_with_its_bars_or_with_why_not_until_the_scan_is_over() -> None:
    some = fetching(max_age_s=60)
    places = np.array([5, 4, 3, 2, 1])[::-1]
    assert some.chosen(np.arange(6)).tolist() == [False, *[True] * 5] and some.to_fetch == 5
    came = list(some.come(MARKET, places, lambda: False))
    assert list(chain(*(batch.tolist() for batch, _ in came))) == [1, 2, 3, 4], "F's was never sent"
    assert [isinstance(what, RetryLater) for _, what in came] == [True, False] and some.fetched == 4
    assert list(some.come(MARKET, places, lambda: True)) == []


def test_what_is_to_be_fetched_comes_after_the_bars_that_are_there() -> None:
    some = fetching(max_age_s=60)
    assert some.closed(MARKET) is MARKET and some.traded(MARKET).all()
    young = market_of({name: [1.0, 2.0, 3.0] for name in "ABCDEF"})
    young.bars.session[-1, 0] -= 1
    assert fetching(young, max_age_s=60).traded(young).tolist() == [False, *[True] * 5]


def test_what_has_come_takes_its_place() -> None:
    fresh = market_of({"B": [1.0, 2.0, 9.0]}).bars
    joined = Fetching.joined(MARKET, [(np.array([1]), fresh)])
    assert joined.numbers("close", 1).tolist() == [[3.0, 9.0, 3.0, 3.0, 3.0, 3.0]]
    assert Fetching.joined(MARKET, []) is MARKET
