from __future__ import annotations

import numpy as np
import pytest

from screener.expressions.check import check
from screener.expressions.evaluate import matches
from screener.jobs.arming import NOT_TOLD, armed
from screener.jobs.families import arms
from screener.jobs.market import Market
from screener.jobs.priority import Armed, accuracy, in_order
from tests.fix_scans import Facts, market_of, wandering

FACTS = Facts(sector={"A": "Energy", "B": "Utilities"}, market_cap={"A": 5e9, "B": 1e9})
MARKET = market_of({"A": [10.0 + n % 2 for n in range(40)], "B": [20.0 + n % 2 for n in range(40)]}, FACTS)


def told(text: str, market: Market = MARKET) -> Armed:
    return armed(check(text, market.vocabulary), market, arms())


def test_a_fact_that_the_next_bar_does_not_change_disarms() -> None:
    assert told("sector == 'Energy' and close > 100").where.tolist() == [True, False]
    assert told("sector != 'Energy' or close > 100").where.tolist() == [True, True]


def test_prices_are_as_far_as_their_own_ranges_and_what_holds_is_near() -> None:
    found = told("close > 21")
    atr = MARKET.numbers("atr14", 1)[-1]
    assert found.distance == pytest.approx([10.0 / atr[0], 0.0])
    assert told("close < 15 or close > 21").distance[1] == 0.0
    assert told("close between 15 and 18").distance == pytest.approx([4.0 / atr[0], 3.0 / atr[1]])


def test_only_what_is_on_the_near_side_can_cross() -> None:
    assert told("close crosses_above 15").where.tolist() == [True, False]
    assert told("close crosses_below 15").where.tolist() == [False, True]


def test_what_cannot_be_measured_is_one_move_away_unless_it_holds() -> None:
    assert told("not squeeze_on").distance.tolist() in ([0.0, 0.0], [NOT_TOLD, NOT_TOLD])


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("rsi14 < 35", 0.6),
        ("close crosses_above sma20", 0.6),
        ("rsi14 < 45 and close < sma20", 0.6),
    ],
)
def test_the_signals_of_a_bar_stand_early_in_the_order_of_the_bars_before(text: str, least: float) -> None:
    market = market_of(wandering(300))
    condition = check(text, market.vocabulary)
    state = armed(condition, market.before(), arms())
    hits = matches(condition, market).yes[-1]
    order = in_order(state, np.arange(300), np.arange(300))
    assert hits.sum() > 5
    assert (accuracy(hits[order]) or 0) >= least or hits.sum() > 0.2 * 300
    assert not hits[~state.where].any(), "what could not fire has fired"
