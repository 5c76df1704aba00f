from __future__ import annotations

from typing import Any

import pytest

from screener.jobs.market import Market
from screener.jobs.request import plan, read_request
from screener.jobs.universe import NO_BARS, Universe, universe
from tests.fix_scans import market_of

MARKET = market_of({"BRK-B": [5.0, 6.0], "A": [1.0, 2.0], "C": [3.0, 4.0]})


def chosen(market: Market = MARKET, **given: Any) -> Universe:
    request = read_request({"expression": "close > 0", **given})
    return universe(plan(request, market.vocabulary, lambda: market.bars), market)


def test_without_a_name_all_are_looked_at() -> None:
    found = chosen()
    assert found.market is MARKET and found.asked.tolist() == [True, True, True] and not found.wrong


@pytest.mark.parametrize(
    ("tickers", "names", "wrong"),
    [
        (["C", "A"], ("C", "A"), []),
        (["brk.b", "BRK-B"], ("BRK-B",), []),
        (["A", "NOPE", "no such"], ("A",), ["NOPE", "no such"]),
    ],
)
def test_named_ones_are_taken_in_any_form_and_once_and_what_is_none_is_told(
    tickers: list[str], names: tuple[str, ...], wrong: list[str]
) -> None:
    found = chosen(tickers=tickers)
    assert found.market.names == names and found.asked.all() and [ticker for ticker, _ in found.wrong] == wrong


def test_where_a_place_is_asked_for_the_market_stays_whole() -> None:
    found = chosen(tickers=["A"], expression="rank(close) == 1")
    assert found.market.names == MARKET.names and found.asked.tolist() == [False, True, False]


def test_of_a_past_day_only_the_bars_up_to_it_are_there() -> None:
    day = chosen(on="2026-11-19").market
    assert day.numbers("close", 1).tolist() == [[5.0, 1.0, 3.0]]


def test_a_database_without_bars_is_said() -> None:
    assert chosen(market_of({})).wrong == [("", NO_BARS)]
