from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date

import numpy as np
import pytest

from core.settings import Risk
from screener.backtest.rates import hit_rate
from screener.patterns.catalogue import fired
from screener.patterns.parabolic import grade, parabolic_score
from screener.patterns.signals import find
from screener.patterns.window import DEPTH, Window
from tests.fix_patterns import bars_of, flat, walks
from tests.screener.patterns.test_lc import runners

BULL, BEAR = "inside_bar_bullish_breakout", "inside_bar_bearish_breakdown"
INSIDE = (100.0, 100.5, 99.5, 100.0)
BREAK = (100.0, 101.5, 100.0, 101.25, 1000.0)
ROWS = [*flat(60), INSIDE, BREAK]


def test_a_signal_says_all_that_is_needed_to_trade_it() -> None:
    found = find(Window.last(bars_of(ROWS)), [BULL, BEAR], Risk()).rows({(BULL, 1): hit_rate(120, 200, 10)})
    (signal,) = found
    assert (signal.ticker, signal.pattern, signal.direction) == ("A", BULL, "BUY")
    assert signal.session_date == date(2026, 3, 7)  # 61 days after the first
    assert (signal.entry, signal.stop) == (101.25, 99.5)
    assert signal.target_1 == pytest.approx(101.25 + 2 * 1.75)
    assert signal.target_2 == pytest.approx(101.25 + 4 * 1.75)
    assert signal.position_size == 49  # a twentieth of 100,000 dollars a day
    assert signal.risk_amount_usd == pytest.approx(49 * 1.75)
    assert (signal.hit_rate, signal.hit_events, signal.hit_horizon) == (0.6, 200, 10)
    assert signal.hit_rate_low is not None
    assert signal.hit_rate_low < 0.6
    assert signal.provisional is False
    json.dumps(asdict(signal), default=str)


def test_a_hit_rate_of_few_events_is_not_told_but_their_number_is() -> None:
    (signal,) = find(Window.last(bars_of(ROWS)), [BULL], Risk()).rows({(BULL, 1): hit_rate(60, 99, 10)})
    assert (signal.hit_rate, signal.hit_rate_low, signal.hit_events) == (None, None, 99)


def test_what_waits_for_a_break_enters_one_tick_beyond_the_bar() -> None:
    (signal,) = find(Window.last(bars_of(ROWS[:-1])), ["inside_bar"], Risk()).rows({})
    assert (signal.direction, signal.entry, signal.stop) == ("BUY", 100.51, 99.5)


def test_a_ticker_of_three_bars_has_a_signal_without_a_plan() -> None:
    (signal,) = find(Window.last(bars_of(ROWS[-3:])), [BULL], Risk()).rows({})
    assert (signal.entry, signal.stop, signal.target_1, signal.atr) == (101.25, None, None, None)
    assert (signal.position_size, signal.risk_amount_usd, signal.confluence) == (0, None, ())
    assert signal.confidence == 55.0


def test_many_patterns_on_many_tickers_are_told_in_the_order_of_the_names() -> None:
    bars = walks(200, 120, seed=6, tick=0.25)
    names = [BEAR, "cdlengulfing", BULL]
    found = find(Window.last(bars), names, Risk())
    told = [names.index(signal.pattern) for signal in found.rows({})]
    assert told == sorted(told)
    assert len(set(told)) == 3
    assert {signal.direction for signal in found.rows({}) if signal.pattern == "cdlengulfing"} == {"BUY", "SELL"}


def test_a_market_in_which_nothing_fired_has_no_signals() -> None:
    found = find(Window.last(bars_of(flat(30))), [BULL, BEAR], Risk())
    assert len(found) == 0
    assert found.rows({}) == []


def test_another_session_of_the_price_makes_a_signal_worth_less() -> None:
    window = Window.last(bars_of(ROWS))
    regular, before = (find(window, [BULL], Risk(), session=name).confidence for name in ("regular", "pre"))
    assert np.allclose(before, 0.7 * regular)


def test_a_signal_of_the_lc_scan_carries_the_grade_of_its_run_and_others_none() -> None:
    bars = runners(40)
    whole = Window(bars, DEPTH)
    rows, columns = np.nonzero(fired("lc_frontside_d2", whole))
    score = parabolic_score(whole)[rows, columns]
    best = int(np.nanargmax(score))
    then = bars.until(int(bars.session[rows[best] + DEPTH, columns[best]]))
    told = find(Window.last(then), ["lc_frontside_d2", "gap_up"], Risk()).rows({})
    grades = {signal.ticker: signal.grade for signal in told if signal.pattern == "lc_frontside_d2"}
    assert grades[bars.tickers[columns[best]]] == grade(float(score[best])) != "D"
    assert {signal.grade for signal in told if signal.pattern == "gap_up"} <= {None}
