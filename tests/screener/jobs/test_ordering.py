from __future__ import annotations

from typing import Any

import numpy as np

from screener.jobs.families import arms
from screener.jobs.ordering import Chances, Order, keys_known_before, work_order
from screener.jobs.request import Plan, plan, read_request
from screener.jobs.score import Past
from tests.fix_scans import Facts, market_of

FACTS = Facts(market_cap={"A": 3.0, "B": 9.0, "C": None}, sector={"A": "Energy", "B": "Utilities", "C": "Energy"})
MARKET = market_of(
    {name: [first + n % 2 for n in range(40)] for name, first in (("A", 10.0), ("B", 14.0), ("C", 30.0))}, FACTS
)

ALL = np.ones(3, np.bool_)


def asked(**given: Any) -> Plan:
    return plan(read_request(given), MARKET.vocabulary, lambda: MARKET.bars)


def order(chances: Chances | None = None, *, prioritise: bool = True, **given: Any) -> Order:
    fresh = MARKET.with_bars(MARKET.bars)
    return work_order(asked(**given), ALL, fresh, chances or Chances(arms=arms()), prioritise=prioritise)


def test_the_nearest_to_the_trigger_comes_first_or_the_table_says() -> None:
    assert order(expression="close > 31").places.tolist() == [2, 1, 0]
    assert order(expression="close > 31", prioritise=False).places.tolist() == [0, 1, 2]


def test_what_cannot_fire_is_last_and_told() -> None:
    found = order(expression="sector == 'Utilities' and close > 31")
    assert found.places[0] == 1 and found.armed.tolist() == [True, False, False]


def test_what_earlier_scans_found_breaks_ties() -> None:
    def memory(tickers: Any) -> Past:
        return Past(signal_rate=np.array([0.0, 1.0, 0.5]), rating=np.full(3, np.nan), days=np.full(3, np.nan))

    assert order(Chances(memory=memory), expression="close > 1").places.tolist() == [1, 2, 0]


def test_only_so_many_are_looked_at_and_an_unwanted_one_never() -> None:
    assert order(expression="close > 31").among(np.ones(3, np.bool_), most=2).places.tolist() == [2, 1]
    market = market_of({"A": [1.0, 2.0], "B": [3.0, 4.0]})
    plan_ = plan(read_request({"expression": "close > 0"}), market.vocabulary, lambda: market.bars)
    assert work_order(plan_, np.array([True, False]), market, Chances(), prioritise=True).places.tolist() == [0]


def test_keys_that_a_fetch_may_change_give_no_bound() -> None:
    keys = keys_known_before(asked(expression="close > 1", order_by="market_cap"), MARKET)
    assert keys is not None and keys.tolist() == [3.0, 9.0, -np.inf]
    assert keys_known_before(asked(expression="close > 1", order_by="close"), MARKET) is None
    assert keys_known_before(asked(expression="close > 1"), MARKET) is None
