from __future__ import annotations

import numpy as np
import pytest

from screener.expressions.check import check
from screener.expressions.evaluate import matches, values
from screener.jobs.market import Market
from tests.fix_scans import Facts, market_of

FACTS = Facts(
    sector={"A": "Technology", "B": "Energy", "C": None},
    market_cap={"A": 5e9, "B": 1e8, "C": None},
    exchange={"A": "NMS", "B": "NYQ", "C": "NMS"},
)
MARKET = market_of({"A": [10, 11, 12, 13], "B": [20, 19, 18, 17], "C": [5, 5, 5, 6]}, FACTS)


def held(text: str, market: Market = MARKET, *, rows: int = 1) -> list[str]:
    """The tickers of which the expression holds on the newest bar."""
    yes = matches(check(text, market.vocabulary), market, rows=rows).yes[-1]
    return [ticker for ticker, holds in zip(market.bars.tickers, yes, strict=True) if holds]


@pytest.mark.parametrize(
    ("text", "tickers"),
    [
        ("close > 12", "AB"),
        ("close >= 13 and close <= 13", "A"),
        ("close - open > 0", "AC"),
        ("close == 6 or close != 6 and close < 17", "AC"),
        ("close between 6 and 13", "AC"),
        ("between(close, 13, 17)", "AB"),
        ("prev(close) == 5", "C"),
        ("prev(close, 3) < 11", "AC"),
        ("close crosses_above 12.5", "A"),
        ("crosses_below(close, 18)", "B"),
        ("crosses_below(close, 17)", ""),
        ("crosses_below(close, 17.5)", "B"),
        ("rank(close) == 1", "B"),
        ("top(close, 2)", "AB"),
        ("bottom(close, 1)", "C"),
        ("percentile(close) > 40", "AB"),
        ("abs(close - prev(close)) == 1", "ABC"),
        ("min(open, close) > 11 and max(open, close, 15) == 15", "A"),
        ("close in (6, 17)", "BC"),
        ("close not in (6, 17)", "A"),
        ("sector == 'Information Technology'", "A"),
        ("sector in ('energy', 'Technology')", "AB"),
        ("exchange != 'nyq'", "AC"),
        ("market_cap > 1e9", "A"),
        ("-close < -16", "B"),
        ("close / 2 > 8", "B"),
    ],
)
def test_an_expression_holds_where_it_should(text: str, tickers: str) -> None:
    assert held(text) == list(tickers)


@pytest.mark.parametrize(
    "text",
    [
        "market_cap > 1e9",
        "not market_cap > 1e9",
        "market_cap == 5e9",
        "market_cap != 5e9",
        "sector == 'Energy'",
        "sector != 'Energy'",
        "not sector in ('Energy')",
        "market_cap > 1e9 and close > 0",
        "close / (market_cap - market_cap) > 0",
        "not close / (open - open) > 0",
    ],
)
def test_what_is_not_known_matches_neither_a_condition_nor_its_opposite(text: str) -> None:
    assert "C" not in held(text)


def test_what_is_not_known_does_not_matter_where_the_other_side_decides() -> None:
    assert "C" in held("market_cap > 1e9 or close > 0")
    assert "C" in held("not (market_cap > 1e9 and close < 0)")


def test_whether_a_value_is_known_can_be_asked() -> None:
    assert held("not known(market_cap)") == held("not known(sector)") == ["C"]
    assert held("known(prev(close, 9))") == []
    assert held("known(nr7)") == held("known(close > 1)") == ["A", "B", "C"]


def test_an_earlier_bar_than_the_first_is_not_known() -> None:
    young = market_of({"A": [1, 2, 3], "N": [4]})
    assert held("prev(close) < close", young) == ["A"]
    assert held("not prev(close) < close", young) == []


def test_a_row_of_an_earlier_bar_says_what_the_newest_bar_said_then() -> None:
    condition = check("close crosses_above 11.5 or prev(close, 2) == 5", MARKET.vocabulary)
    rows = matches(condition, MARKET, rows=3).yes
    for back in range(3):
        then = MARKET.until(MARKET.bars.newest_day - back)
        assert rows[2 - back].tolist() == matches(condition, then).yes[-1].tolist()


def test_a_halted_ticker_is_not_ranked_with_those_of_today() -> None:
    market = market_of({"A": [10, 11, 12], "B": [20, 19, 18]})
    market.bars.session[:, 1] -= 5
    assert held("rank(close) == 1", market) == ["A"]


def test_over_a_range_a_ranking_is_within_the_session() -> None:
    market = market_of({"A": [10, 11, 12], "B": [20, 9, 18]})
    order = check("rank(close)", market.vocabulary, want="number")
    assert values(order, market, rows=3).tolist() == [[2, 1], [1, 2], [2, 1]]


def test_the_place_of_an_earlier_bar_is_that_on_its_day_now_and_over_a_range_and_then() -> None:
    """B did not trade on the day before the newest: its bar before is of the day of the others' second last."""
    market = market_of({"A": [10, 30, 12, 9], "B": [11, 20, 19, 18], "C": [9, 25, 11, 10]})
    market.bars.session[:3, 1] -= 1
    place = check("prev(rank(close))", market.vocabulary, want="number")
    assert values(place, market).tolist() == [[1, 3, 2]], "B among 30, 19, 25; the others among themselves"
    assert values(place, market, rows=2)[-1].tolist() == [1, 3, 2]
    then = market.until(market.bars.newest_day)
    assert values(place, then).tolist() == [[1, 3, 2]]
    ordered = check("rank(close)", market.vocabulary, want="number")
    assert values(ordered, market, rows=3)[:, 1].tolist() == [1, 3, 1]


def test_numbers_are_finite_or_not_known() -> None:
    found = values(check("close / (close - 13)", MARKET.vocabulary, want="number"), MARKET)
    assert np.isnan(found[0, 0]) and np.isfinite(found[0, 1:]).all()


def test_the_order_of_the_tickers_changes_no_answer() -> None:
    text = "percentile(close) > 40 and close crosses_above 12.5"
    turned = market_of({"C": [5, 5, 5, 6], "B": [20, 19, 18, 17], "A": [10, 11, 12, 13]}, FACTS)
    assert sorted(held(text, turned)) == held(text)


def test_the_longest_chain_that_is_read_is_also_answered() -> None:
    assert held(" or ".join(["close > 16"] * 59)) == ["B"]
