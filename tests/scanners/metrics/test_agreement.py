from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from market.quotes import Quote
from scanners.metrics.agreement import (
    can_witness,
    contradicts_itself,
    has_moved,
    is_alike,
    is_strange,
    leaves_open,
    withholds,
    word,
    words,
)

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
QUOTE = Quote(
    ticker="AAPL",
    current_price=230.0,
    price_change=2.0,
    price_time=AT,
    previous_close=228.0,
    open_price=229.0,
    days_low=228.5,
    days_high=231.0,
    week_52_low=160.0,
    week_52_high=260.0,
    shares_outstanding=15_000_000_000,
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "agree"),
        ({"current_price": 231.0, "price_time": AT.replace(minute=1)}, "agree"),  # it moved
        ({"current_price": 232.3}, "differ"),  # at the same second
        ({"previous_close": 228.0 * 1.01}, "differ"),
        ({"previous_close": 228.0 * 1.0005}, "agree"),  # rounding
        ({"open_price": 231.3}, "differ"),
        ({"week_52_high": 265.0}, "differ"),
        ({"week_52_low": 158.0}, "differ"),
        ({"days_high": 261.0, "week_52_high": 261.0}, "agree"),  # today's high is the year's
        ({"shares_outstanding": 15_200_000_000}, "differ"),
        ({"previous_close": None}, "silent"),
        ({"volume": 7, "bid_price": 1.0, "pe_ratio": 9.0, "market_cap": 1.0}, "agree"),  # move, or differ by server
    ],
)
def test_two_sources_agree_if_what_stands_still_does(changed: dict[str, object], said: str) -> None:
    other = replace(QUOTE, **changed)  # type: ignore[arg-type]
    assert word(QUOTE, other) == word(other, QUOTE) == said


def test_a_close_of_a_cent_is_no_witness() -> None:
    one, other = Quote(ticker="X", previous_close=0.0123), Quote(ticker="X", previous_close=0.0124)
    assert word(one, other) == "silent"
    assert can_witness([one, QUOTE]) == ["AAPL"]


def test_a_price_that_its_own_change_contradicts_is_noticed() -> None:
    assert not contradicts_itself(QUOTE)
    assert contradicts_itself(replace(QUOTE, current_price=232.3))
    assert contradicts_itself(replace(QUOTE, previous_close=230.3))
    assert not contradicts_itself(replace(QUOTE, price_change=None))


def test_only_tickers_that_both_hold_are_compared() -> None:
    other = {"AAPL": replace(QUOTE, previous_close=1.0), "MSFT": replace(QUOTE, ticker="MSFT")}
    assert words({"AAPL": QUOTE, "F": replace(QUOTE, ticker="F")}, other) == {
        "agree": [],
        "differ": ["AAPL"],
        "silent": [],
    }


@pytest.mark.parametrize(
    ("price", "later_s", "moved"),
    [(236.0, 60, False), (238.0, 60, True), (238.0, 600, False), (290.0, 600, True), (160.0, 60, True)],
)
def test_a_price_moves_three_percent_in_a_moment_and_a_fifth_in_a_session(
    price: float, later_s: int, moved: bool
) -> None:
    later = replace(QUOTE, current_price=price, price_time=AT + timedelta(seconds=later_s))
    assert has_moved(QUOTE, later) is moved
    assert word(QUOTE, later) == ("silent" if moved else "agree")
    assert has_moved(replace(QUOTE, price_time=None), later) is (abs(price - 230.0) > 0.03 * max(price, 230.0))


def test_who_leaves_out_a_previous_close_withholds_it_from_who_knows_it() -> None:
    blank = replace(QUOTE, previous_close=None)
    assert withholds(blank, QUOTE)
    assert not withholds(QUOTE, blank) and not withholds(blank, blank)
    assert not withholds(blank, replace(QUOTE, previous_close=0.01))


def test_a_price_without_its_previous_close_leaves_open_what_it_is() -> None:
    penny = replace(QUOTE, ticker="P", current_price=0.01, previous_close=0.01)
    blank, small = replace(QUOTE, ticker="B", previous_close=None), replace(QUOTE, ticker="S", previous_close=0.01)
    assert leaves_open([QUOTE, penny, blank, small]) == ["B", "S"]


WHOLE = replace(
    QUOTE,
    market_cap=230.0 * 15_000_000_000,
    earnings_per_share=6.59,
    pe_ratio=34.9,  # 230 / 6.59 = 34.901
    book_value=4.4,
    price_to_book=52.27,
    volume=40_000_000,
    avg_volume_3mon=55_000_000,
    bid_price=229.9,
    ask_price=230.1,
)


@pytest.mark.parametrize(
    ("changed", "strange"),
    [
        ({}, False),
        ({"current_price": 233.5, "price_change": 5.5}, True),  # it adds up, but the ratios and the range say otherwise
        ({"current_price": 228.0, "price_change": 0.0, "market_cap": None, "pe_ratio": None}, True),  # below its low
        ({"market_cap": 3.519e12}, True),
        ({"earnings_per_share": 6.72}, True),
        ({"price_to_book": 53.4}, True),
        ({"shares_outstanding": 15_300_000_000}, True),
        ({"days_high": 229.0}, True),
        ({"week_52_high": 230.4}, True),
        ({"open_price": 233.0}, True),
        ({"bid_price": 231.0}, True),
        ({"volume": 39_000_000}, True),  # less than was traded before
        ({"volume": 41_000_000}, False),
        ({"avg_volume_3mon": 56_000_000}, True),
        ({"forward_pe": 31.0}, False),  # nothing follows from it
        ({"market_cap": None, "pe_ratio": None, "price_to_book": None, "bid_price": None}, False),
    ],
)
def test_a_row_that_does_not_fit_itself_or_what_was_held_is_strange(changed: dict[str, float], strange: bool) -> None:
    assert is_strange(replace(WHOLE, **changed), WHOLE) is strange  # type: ignore[arg-type]


def test_what_two_sources_tell_as_strangely_is_alike() -> None:
    """As of a company with two classes of shares, of which the market value counts both."""
    two_classes = replace(WHOLE, market_cap=230.0 * 20_000_000_000)
    later = replace(two_classes, current_price=230.5, price_time=AT + timedelta(seconds=40))
    assert is_strange(two_classes, None)
    assert is_alike(two_classes, later)
    assert not is_alike(two_classes, WHOLE)
