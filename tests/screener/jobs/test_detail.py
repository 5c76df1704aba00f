from __future__ import annotations

import json

import numpy as np

from core.settings import Risk
from screener.cube.bars import History, align, day_number
from screener.jobs.detail import of_patterns
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
