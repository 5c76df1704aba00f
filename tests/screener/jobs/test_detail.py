from __future__ import annotations

import json
from typing import Any

import numpy as np

from core.settings import Risk
from screener.cube.bars import History, align, day_number
from screener.jobs.detail import allot, of_patterns
from screener.jobs.families import families
from screener.jobs.market import Market
from tests.fix_scans import LAST_DAY, leaders

THREE = ((150, 152, 149, 151), (151, 151.5, 150.5, 151.2), (151.2, 153, 151, 152.5))
"""Seed 001's own bars: mother, inside, break."""


def inside_bars() -> Market:
    quiet = [(150, 151.5, 149.5, 150.5)] * 30
    opened, high, low, close = np.array([*quiet, *THREE], np.float64).T
    last = day_number(LAST_DAY)
    days = np.arange(last - len(close) + 1, last + 1, dtype=np.int32)
    bars = align([History("AAPL", days, opened, high, low, close, np.full(len(close), 1e6))])
    return Market(bars, families(), None)


def test_a_hit_of_a_pattern_says_what_to_do_and_can_be_written_as_json() -> None:
    told = of_patterns(Risk(), {})(inside_bars(), np.array([0]), ["close", "inside_bar_bullish_breakout"])
    signal = told["AAPL"]["signals"][0]
    assert (signal["pattern"], signal["direction"]) == ("inside_bar_bullish_breakout", "BUY")
    assert signal["stop"] < signal["entry"] < signal["target_1"] < signal["target_2"]
    assert signal["hit_rate"] is None and signal["session_date"] == str(LAST_DAY)
    assert json.loads(json.dumps(signal)) == signal


def test_an_expression_without_a_pattern_says_nothing() -> None:
    assert of_patterns(Risk(), {})(inside_bars(), np.array([0]), ["close", "rsi14"]) == {}


def test_the_hits_are_those_of_the_scan_and_not_of_a_market_of_hits_alone() -> None:
    """Of one hit alone there is no place in the market: minervini would be found by the scan and told by nobody."""
    market = Market(leaders(3, others=40), families(), None)
    market.prepare(["minervini"], 1)
    told = of_patterns(Risk(), {})(market, np.array([1]), ["minervini"])
    assert [signal["pattern"] for signal in told["T1"]["signals"]] == ["minervini"]


def results(*told: tuple[str, float, float], key: float | None = None) -> list[dict[str, Any]]:
    """One result a ticker: its confidence and the dollars it risks."""
    return [
        {"ticker": ticker, "key": key, "signals": [{"confidence": confidence, "risk_amount_usd": risk}]}
        for ticker, confidence, risk in told
    ]


def taken(found: list[dict[str, Any]]) -> list[str]:
    return [result["ticker"] for result in found if any(one["allotted"] for one in result.get("signals", ()))]


def test_the_account_takes_the_most_confident_together_within_its_heat_and_places() -> None:
    """6 % of 100,000 dollars: three of 2,000; one that is too large is passed over for a smaller one after it."""
    four = results(("A", 60, 2000), ("B", 90, 2000), ("C", 70, 3000), ("D", 80, 2000), ("E", 50, 1500))
    allot(four, Risk())
    assert taken(four) == ["A", "B", "D"]
    few = results(("A", 60, 2000), ("B", 90, 5000), ("C", 80, 3000), ("D", 70, 900))
    allot(few, Risk())
    assert taken(few) == ["B", "D"]
    one_place = results(("A", 60, 10), ("B", 90, 10))
    allot(one_place, Risk(max_positions=1))
    assert taken(one_place) == ["B"]


def test_a_scan_with_an_order_is_allotted_in_that_order_and_who_has_no_signal_has_no_place() -> None:
    ranked = [{"ticker": "X", "key": 9.0}, *results(("A", 60, 4000), ("B", 90, 4000), key=5.0)]
    allot(ranked, Risk())
    assert taken(ranked) == ["A"]
    allot([], Risk())


def test_what_other_scans_of_the_market_say_stays_as_it_is() -> None:
    market = inside_bars()
    shared = of_patterns(Risk(), {})(market, np.array([0]), ["inside_bar_bullish_breakout"])["AAPL"]
    found: list[dict[str, Any]] = [{"ticker": "AAPL", "key": None, **shared}]
    allot(found, Risk())
    assert taken(found) == ["AAPL"] and "allotted" not in shared["signals"][0]
