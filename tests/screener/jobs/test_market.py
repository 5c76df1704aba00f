from __future__ import annotations

import numpy as np
import pytest

from screener.jobs.market import Vocabulary, without_newest
from tests.fix_scans import Facts, market_of

CLOSES = {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0], "N": [5.0]}


def test_a_field_is_computed_once_for_all_that_ask() -> None:
    market = market_of(CLOSES)
    for _ in range(3):
        market.numbers("close", 1)
    assert market.computed == 1
    market.numbers("close", 3)
    market.numbers("close", 2)
    assert market.computed == 2


def test_what_is_not_to_be_kept_is_forgotten_after_the_scan() -> None:
    kept, not_kept = market_of(CLOSES), market_of(CLOSES, keep=False)
    for market in (kept, not_kept):
        market.numbers("close", 1)
        market.forget()
        market.numbers("close", 1)
    assert (kept.computed, not_kept.computed) == (1, 2)


def test_more_rows_than_there_are_bars_are_not_known() -> None:
    found = market_of(CLOSES).numbers("close", 5)
    assert found.shape == (5, 3) and np.isnan(found[:2]).all() and found[-1].tolist() == [12, 18, 5]
    assert market_of(CLOSES).sessions(5)[:2].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_some_tickers_alone_keep_what_was_computed_of_them() -> None:
    market = market_of(CLOSES, Facts(cap={"A": 1.0, "B": 2.0}, sector={"A": "Energy", "B": "Utilities"}))
    market.prepare(["close", "cap", "sector"], 1)
    part = market.take(np.array([1]))
    assert part.numbers("close", 1).tolist() == [[18.0]] and part.numbers("cap", 1).tolist() == [2.0]
    assert part.texts("sector").text(0) == "Utilities"
    assert part.computed == 0 and part.bars.tickers == ("B",)


def test_before_the_newest_bar_nothing_of_it_is_known() -> None:
    market = market_of(CLOSES)
    before = market.before()
    assert before.numbers("close", 1).tolist()[0][:2] == [11.0, 19.0]
    assert before.bars.counts.tolist() == [2, 2, 0] and market.before() is before
    assert without_newest(before.bars).rows == 1


def test_a_ticker_without_a_bar_of_the_newest_session_is_not_current() -> None:
    market = market_of(CLOSES)
    assert market.current().all()
    market = market_of(CLOSES)
    market.bars.session[-1, 0] -= 1
    assert market.current().tolist() == [False, True, True]


def test_the_vocabulary_knows_measures_patterns_families_and_columns() -> None:
    vocabulary = market_of(CLOSES, Facts(pe_ratio={"A": 1.0})).vocabulary
    assert isinstance(vocabulary, Vocabulary)
    assert {"rsi14", "sma33", "inside_bar_bullish_breakout", "pe_ratio"} <= {
        name for name in ("rsi14", "sma33", "inside_bar_bullish_breakout", "pe_ratio", "nothing") if name in vocabulary
    }
    assert "rsi14" in list(vocabulary) and len(vocabulary) == len(list(vocabulary))
    assert not vocabulary["pe_ratio"].dated and vocabulary["rsi14"].dated
    with pytest.raises(KeyError):
        vocabulary["nothing"]


def test_what_many_scans_had_computed_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.market.MOST_KEPT_MB", 2 * 3 * 8 / 1e6)
    market = market_of(CLOSES)
    market.told["close > 1"] = 1
    for name in ("close", "open"):
        market.numbers(name, 1)
        market.before().numbers(name, 1)
    market.forget()
    assert market.has(["close", "open"]) and market.before().has(["close"]) and market.told
    market.numbers("high", 1)
    market.before().numbers("high", 1)
    market.forget()
    assert not market.has(["close"]) and not market.before().has(["close"]) and not market.told


def test_other_columns_leave_what_was_computed_of_bars_and_of_the_order() -> None:
    market = market_of(CLOSES, Facts(cap={"A": 1.0}))
    market.prepare(["close", "cap"], 1)
    market.told |= {"close > 1": 1, ("signals", "premarket_gap"): {}}
    other = market.with_columns(Facts(cap={"A": 2.0}))
    assert other.numbers("cap", 1).tolist()[0] == 2.0 and market.numbers("cap", 1).tolist()[0] == 1.0
    assert other.has(["close"]) and other.bars is market.bars and list(other.told) == ["close > 1"]
