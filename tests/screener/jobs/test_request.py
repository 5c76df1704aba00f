from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from screener.expressions.errors import ExpressionError
from screener.jobs.request import Plan, WrongRequest, plan, read_request
from tests.fix_scans import LAST_DAY, Facts, bars_of, market_of

MARKET = market_of({"A": [10, 11, 12], "B": [20, 19, 18]}, Facts(market_cap={"A": 1.0}, sector={"A": "Energy"}))
DAY = timedelta(days=1)


def planned(**given: Any) -> Plan:
    return plan(read_request({"expression": "close > 1", **given}), MARKET.vocabulary, lambda: MARKET.bars)


def test_a_filter_is_an_expression_too() -> None:
    request = read_request(
        {"expression": "a or b", "min_volume": 1e6, "min_tech_rating": 50, "sectors": ["Energy", 'x"y']}
    )
    assert request.whole_text() == (
        '(a or b) and tech_rating >= 50 and volume >= 1000000 and sector in ("Energy", \'x"y\')'
    )
    assert read_request({"sectors": ["Financials"]}).whole_text() == 'sector in ("Financials")'
    assert read_request({"expression": "close > 1"}).whole_text() == "close > 1"


def test_dates_come_as_days_and_now_as_none() -> None:
    assert planned().days is None
    one, some = planned(on=str(LAST_DAY)), planned(since=str(LAST_DAY - DAY))
    assert one.days is not None and one.days[0] == one.days[1] and not one.is_range
    assert some.days is not None and some.days[1] - some.days[0] == 1 and some.is_range


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"on": "2020-01-01"}, "no bars of 2020-01-01; they reach from 2026-11-18 to 2026-11-20"),
        ({"since": "2030-01-01"}, "give the earlier date first"),
        ({"until": "2001-01-01"}, "give the earlier date first"),
        ({"since": "2001-01-01", "until": "2001-02-01"}, "no bars from"),
        ({"since": "2026-11-20", "until": "2026-11-19"}, "is after"),
        ({"on": "2026-11-20", "since": "2026-11-19"}, "two ways"),
        ({"top": 5}, "give order_by"),
    ],
)
def test_what_cannot_be_run_is_said_at_once(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrongRequest) as caught:
        planned(**given)
    assert reason in str(caught.value)


def test_a_day_without_a_session_is_named() -> None:
    bars = bars_of({"A": [10, 11, 12]})
    bars.session[0] -= 2
    request = read_request({"expression": "close > 1", "on": str(LAST_DAY - 2 * DAY)})
    with pytest.raises(WrongRequest, match="was no session"):
        plan(request, MARKET.vocabulary, lambda: bars)


def test_what_was_not_known_then_is_refused_or_labelled() -> None:
    with pytest.raises(ExpressionError, match="only today's market_cap is known"):
        planned(expression="close > 1 and market_cap > 0", on=str(LAST_DAY))
    with pytest.raises(ExpressionError, match="only today's market_cap"):
        planned(order_by="market_cap", on=str(LAST_DAY))
    labelled = planned(expression="market_cap > 0", on=str(LAST_DAY), biased=True)
    assert labelled.biased == ("market_cap",)
    assert planned(expression="market_cap > 0").biased == ()


@pytest.mark.parametrize(
    "given",
    [
        {"max_signals": -1},
        {"top": 10_001},
        {"nothing": 1},
        {"on": "yesterday"},
        {"sectors": "Energy"},
        {"timeout_s": "soon"},
        {"export": "xlsx"},
        {"tickers": ["A"] * 20_001},
        "text",
        None,
    ],
)
def test_a_document_that_is_no_request_is_refused(given: Any) -> None:
    with pytest.raises(WrongRequest):
        read_request(given)


def test_a_scan_is_of_now_with_what_is_fetched_of_a_past_day_or_of_a_range() -> None:
    assert planned(expression="close > 1").when == "now"
    assert planned(expression="close > 1", max_age_s=60).when == "fetched"
    assert planned(expression="close > 1", on=str(LAST_DAY)).when == "past"
    assert planned(expression="close > 1", since=str(LAST_DAY)).when == "range"


def test_what_was_found_gives_way_to_the_better_unless_it_is_counted() -> None:
    asked = {"expression": "close > 1", "order_by": "close"}
    kept = [read_request({**asked, **more}).keeps_best for more in ({}, {"top": 5}, {"top": 5, "max_signals": 9})]
    assert kept == [False, True, False]
