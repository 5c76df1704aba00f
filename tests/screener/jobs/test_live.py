from __future__ import annotations

import numpy as np
import pytest

from screener.cube.live import Live, nothing_yet, with_live
from screener.expressions.check import check
from screener.expressions.evaluate import matches
from screener.jobs.families import families
from screener.jobs.live import LiveMarket
from screener.jobs.market import Market
from screener.measures.state import NAMES, State
from tests.fix_screener import FIRST_DAY, walked

WARMING = (1, 2, 9, 13, 14, 15, 19, 20, 21, 33, 34, 49, 50, 149, 199, 200, 250, 251, 252, 253)
"""Bars of tickers whose first value of a measure comes with the running bar, or just before or after it."""
DAY = FIRST_DAY + 401
BARS = walked(*WARMING, *([300] * 12))
GONE, DONE = 25, 26
"""A ticker that was halted long ago, and one whose bar of the session is complete."""
BARS.session[:, GONE] -= 30
BARS.session[-1, DONE] = DAY


def prices(seed: int = 3) -> Live:
    """Prices of most tickers, a flat one, one without a volume, two that have not traded."""
    luck = np.random.default_rng(seed)
    before = np.nan_to_num(BARS.close[-1].astype(np.float64), nan=10.0)
    opened, close = (before * luck.normal(1, 0.02, BARS.width) for _ in range(2))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    sides = [side.astype(np.float32).astype(np.float64) for side in (opened, high, low, close)]
    volume = np.floor(luck.lognormal(13, 1, BARS.width))
    volume[21] = np.nan
    for side in (*sides, volume):
        side[[22, GONE]] = np.nan
    return Live(day=DAY, open=sides[0], high=sides[1], low=sides[2], close=sides[3], volume=volume)


@pytest.fixture
def both() -> tuple[LiveMarket, Market]:
    """The same market by its state, and by bars that hold the prices as their newest row."""
    closed, live = Market(BARS, families(), None), prices()
    joined = Market(with_live(BARS, live), families(), None)
    joined.stands_on(closed)
    return LiveMarket(closed, live, lambda: State.of(BARS), families(), None), joined


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_every_measure_of_the_state_is_that_of_the_joined_bars(both: tuple[LiveMarket, Market], rows: int) -> None:
    by_state, joined = both
    for name in sorted(NAMES):
        mine, whole = by_state.numbers(name, rows), joined.numbers(name, rows)
        np.testing.assert_allclose(mine, whole, rtol=1e-9, atol=1e-9, err_msg=name)
    assert "bars" not in vars(by_state), "no bar was joined"


@pytest.mark.parametrize(
    "text",
    [
        "close crosses_above sma20 or rsi14 < 35",
        "inside_bar_bullish_breakout or nr7",
        "tech_rating > 50 and close > prev(high)",
        "rank(close) <= 5",
        "squeeze_on and hma9 > 0",
    ],
)
def test_an_expression_finds_the_same(both: tuple[LiveMarket, Market], text: str) -> None:
    by_state, joined = both
    checked = check(text, joined.vocabulary)
    for market in both:
        market.prepare(checked.fields, 1 + checked.look_back)
    assert matches(checked, by_state).yes.tolist() == matches(checked, joined).yes.tolist()


def test_sessions_flags_and_who_is_current_are_those_of_the_joined_bars(both: tuple[LiveMarket, Market]) -> None:
    by_state, joined = both
    assert by_state.sessions(3).tolist() == joined.sessions(3).tolist()
    assert by_state.current().tolist() == joined.current().tolist()
    assert by_state.newest_day == joined.newest_day == DAY
    everyone = np.arange(BARS.width)
    assert by_state.flag_words(everyone) == joined.flag_words(everyone)
    some = np.array([27, 3, 30])
    assert by_state.take(some).numbers("close", 2).tolist() == joined.take(some).numbers("close", 2).tolist()
    assert by_state.take(some).before().tickers == 3


def test_before_the_first_price_the_market_is_that_of_the_last_session() -> None:
    closed = Market(BARS, families(), None)
    nothing = nothing_yet(BARS.width, DAY)
    market = LiveMarket(closed, nothing, lambda: State.of(BARS), families(), None)
    np.testing.assert_array_equal(market.numbers("close", 1), closed.numbers("close", 1))
    assert market.current().tolist() == closed.current().tolist()


def test_a_market_that_keeps_nothing_serves_scan_after_scan() -> None:
    closed = Market(BARS, families(), None, keep=False)
    market = LiveMarket(closed, prices(), lambda: State.of(BARS), families(), None)
    first = market.numbers("close", 1).copy()
    market.forget()
    assert not closed.has(["close"])
    np.testing.assert_array_equal(market.numbers("close", 1), first)
    assert market.before() is closed
