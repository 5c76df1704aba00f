from __future__ import annotations

import pytest

from screener.expressions.check import DEAREST, LONGEST_LOOK_BACK, check, constant
from screener.expressions.errors import ExpressionError
from screener.expressions.fields import Field
from screener.expressions.grammar import parse

KNOWN = {name: Field(name=name) for name in ("open", "close", "rsi14", "sma50", "sma200")} | {
    "market_cap": Field(name="market_cap", dated=False),
    "sector": Field(name="sector", kind="text", dated=False),
    "ticker": Field(name="ticker", kind="text", dated=False),
    "rs_rating": Field(name="rs_rating", market_wide=True),
    "nr7": Field(name="nr7", kind="flag", signed=True),
    "squeeze_on": Field(name="squeeze_on", kind="flag"),
}


def test_the_expression_of_the_first_page_is_right_and_says_what_it_reads() -> None:
    checked = check('rsi14 < 30 and close > sma200 and market_cap > 1e9 and sector == "Energy"', KNOWN)
    assert checked.fields == ("rsi14", "close", "sma200", "market_cap", "sector")
    assert checked.now_only == ("market_cap", "sector")
    assert (checked.look_back, checked.market_wide, checked.kind) == (0, False, "flag")


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("rsi14 < 30 and clos > 1", 16, 'did you mean "close"'),
        ("rsi14", 1, "a flag is wanted"),
        ("1 < 2", 1, "names no field"),
        ("rsi14 and close > 1", 1, '"and" wants a flag'),
        ("not close", 5, '"not" wants a flag'),
        ("sector > 'Energy'", 1, "not smaller or larger"),
        ("sector == 1", 1, "compares a text with a number"),
        ("sector == ticker", 1, "written text"),
        ("sector == 'Enrgy'", 11, 'did you mean "Energy"'),
        ("sector in ('Energy', 'Nothing At All')", 22, "no sector"),
        ("close in (1, open)", 14, "as they are written"),
        ("squeeze_on in (1)", 16, "as they are written"),
        ("squeeze_on > 0", 1, "compares a flag with a number"),
        ("squeeze_on == squeeze_on", 1, "a flag is compared with a flag"),
        ("close / 0 > 1", 9, "divides by zero"),
        ("close / (2 - 1 - 1) > 1", 10, "divides by zero"),
        ("close > 1e200 * 1e200", 9, "no finite value"),
        ("close + sector > 1", 9, "wants a number"),
        ("prev(close, 0) > 1", 13, "whole number from 1"),
        ("prev(close, 1.5) > 1", 13, "whole number from 1"),
        ("prev(close, rsi14) > 1", 13, "whole number from 1"),
        ("prev(market_cap) > 1", 6, "only today's market_cap is known"),
        ("crosses_above(close, market_cap)", 22, "only today's market_cap is known"),
        ("prev(prev(close, 200), 200) > 1", 1, "400 bars back"),
        ("rank(5) < 3", 1, "same for every ticker"),
        ("min(close) > 1", 1, "does not take 1"),
        ("prevv(close) > 1", 1, "did you mean prev(close, 1)"),
        ("prev > 1", 1, "is a function"),
        ("__import__('os')", 1, "unknown function"),
        ("eval('1')", 1, "unknown function"),
        ("__class__ == 1", 1, "unknown field"),
    ],
)
def test_a_mistake_is_pointed_at_with_what_would_be_right(text: str, column: int, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check(text, KNOWN)
    assert reason in str(caught.value)
    assert caught.value.start == column - 1


def test_a_signed_flag_is_a_number_beside_a_number_and_else_a_flag() -> None:
    assert (
        check("nr7", KNOWN).kind == check("nr7 < 0", KNOWN).kind == check("not nr7 and nr7 == 1", KNOWN).kind == "flag"
    )


def test_an_order_is_a_number() -> None:
    assert check("rsi14 * 2", KNOWN, want="number").kind == "number"
    with pytest.raises(ExpressionError, match="a number is wanted"):
        check("rsi14 > 2", KNOWN, want="number")


def test_looking_back_adds_up_along_the_longest_way() -> None:
    assert check("prev(close, 3) > close and close crosses_above prev(sma50, 5)", KNOWN).look_back == 6
    assert check(f"prev(close, {LONGEST_LOOK_BACK}) > 1", KNOWN).look_back == LONGEST_LOOK_BACK


@pytest.mark.parametrize("text", ["top(close, 5)", "percentile(rsi14) > 9", "rs_rating > 90"])
def test_a_ranking_is_of_the_whole_market(text: str) -> None:
    assert check(text, KNOWN).market_wide


def test_what_costs_too_much_is_refused_with_its_cost() -> None:
    text = " and ".join(f"percentile(prev(percentile(close), {n})) > 1" for n in range(200, 212))
    with pytest.raises(ExpressionError, match=rf"at most {DEAREST:,} are made"):
        check(text, KNOWN)


def test_a_nest_of_calls_is_checked_once_a_level() -> None:
    """Each level asked twice would be a million million questions."""
    assert check("abs(" * 37 + "close" + ")" * 37 + " > 1", KNOWN).fields == ("close",)


def test_a_constant_is_computed_where_it_has_a_value() -> None:
    assert constant(parse("-(2 + 3) * 4 / 8")) == -2.5
    assert constant(parse("close + 1")) is None
