from __future__ import annotations

from typing import Any

import numpy as np

from screener.jobs.hits import Found, best_first, find, rows_of
from screener.jobs.market import Market
from screener.jobs.request import plan, read_request
from tests.fix_scans import Facts, market_of

FACTS = Facts(sector={"A": "Energy", "B": None})
MARKET = market_of({"A": [10, 11, 12], "B": [20, 19, 18], "N": [15]}, FACTS)


def found(places: list[int], market: Market = MARKET, *, most: int = 99, **given: Any) -> Found:
    asked = plan(read_request(given), market.vocabulary, lambda: market.bars)
    return find(asked, market, np.array(places, np.intp), None, most=most)


def test_results_come_in_the_order_asked_and_say_what_the_expression_reads() -> None:
    hits = found([2, 0, 1], expression="close > 11 and not squeeze_on or close > 11", order_by="close")
    assert [result["ticker"] for result in hits.results] == ["N", "A", "B"]
    assert hits.hit.tolist() == [True, True, True] and hits.positions == [0, 1, 2]
    first = hits.results[1]
    assert first["session"] == "2026-11-20" and first["key"] == 12.0
    assert first["values"]["close"] == 12.0 and first["values"]["squeeze_on"] in (None, True, False)
    assert "warming" in first["flags"]


def test_texts_and_what_is_not_known_are_told_as_they_are() -> None:
    hits = found([0, 1], expression="sector == 'Energy' or close > 1")
    assert [result["values"]["sector"] for result in hits.results] == ["Energy", None]


def test_a_range_gives_a_result_a_session() -> None:
    hits = found([0, 1, 2], expression="close >= 11 and close < 19", since="2026-11-19")
    assert [(result["ticker"], result["session"]) for result in hits.results] == [
        ("A", "2026-11-19"),
        ("A", "2026-11-20"),
        ("B", "2026-11-20"),
        ("N", "2026-11-20"),
    ]


def test_a_range_tells_no_ticker_behind_the_one_that_is_too_many() -> None:
    hits = found([0, 1, 2], expression="close > 0", since="2026-11-19", most=3)
    assert [result["ticker"] for result in hits.results] == ["A", "A", "B", "B"]
    assert hits.hit.tolist() == [True, True] and hits.positions == [0, 0, 1, 1]


def test_the_best_of_a_range_are_taken_before_anything_is_said_of_the_others() -> None:
    hits = found([2, 1, 0], expression="close > 0", since="2026-11-19", order_by="close", top=3, most=1)
    assert [(result["ticker"], result["key"]) for result in hits.results] == [("N", 15), ("B", 19), ("B", 18)]
    assert hits.hit.tolist() == [True, True, True]


def test_a_past_day_gives_what_the_range_of_that_day_gives() -> None:
    then = MARKET.until(MARKET.bars.newest_day - 1)
    one = found([0, 1], then, expression="close > 10", on="2026-11-19")
    some = found([0, 1], expression="close > 10", since="2026-11-19", until="2026-11-19")
    assert [(r["ticker"], r["values"]["close"]) for r in one.results] == [
        (r["ticker"], r["values"]["close"]) for r in some.results
    ]
    asked = plan(
        read_request({"expression": "close > 1", "since": "2026-11-19"}), MARKET.vocabulary, lambda: MARKET.bars
    )
    assert rows_of(asked, MARKET) == 2


def test_the_best_come_first_those_without_a_key_last_and_equals_stay_in_their_order() -> None:
    results = [{"ticker": ticker, "key": key} for ticker, key in zip("ABCD", (1.0, None, 2.0, 1.0), strict=True)]

    def best(**given: Any) -> str:
        asked = read_request({"expression": "close > 0", "order_by": "close", **given})
        return "".join(result["ticker"] for result in best_first(results, asked))

    assert (best(), best(top=2), best(ascending=True)) == ("CADB", "CA", "ADCB")
