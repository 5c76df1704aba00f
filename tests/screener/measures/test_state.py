from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.cube.bars import FIELDS, Bars, align
from screener.cube.live import Live, nothing_yet, with_live, with_quotes
from screener.measures.catalogue import Frame, find
from screener.measures.state import NAMES, State
from tests.fix_screener import by_hand, walk, walked


def of_last(bars: Bars) -> tuple[Bars, Live]:
    """The bars without the newest session, and that session's figures."""
    day = bars.newest_day
    figures = {
        name: np.where(bars.session[-1] == day, getattr(bars, name)[-1].astype(float), np.nan) for name in FIELDS
    }
    return bars.until(day - 1), Live(day=day, **figures)


@settings(max_examples=10, deadline=None)
@given(counts=st.lists(st.integers(1, 290), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_new_prices_give_what_all_bars_with_them_give(counts: list[int], seed: int) -> None:
    """But for an average whose first value falls on the running bar."""
    whole = align(walk(counts, seed=seed))
    past, live = of_last(whole)
    frame = Frame(with_live(past, live))
    for name, values in State.of(past).values(live).items():
        if find(name) is None:
            continue
        full = frame[name][-1]
        known = ~np.isnan(values)
        np.testing.assert_allclose(values[known], full[known], rtol=1e-9, atol=1e-9, err_msg=name)
        first = np.isnan(values) & ~np.isnan(full)
        assert (np.isnan(Frame(past)[name][-1]) | ~first).all(), name


def test_a_ticker_without_a_price_or_with_a_closed_bar_of_the_session_has_no_values() -> None:
    bars = walked(260, 260)
    for live in (nothing_yet(2, bars.newest_day + 1), of_last(bars)[1]):
        assert all(np.isnan(values).all() for values in State.of(bars).values(live).values())


def test_a_state_gives_the_measures_that_it_names_and_the_breaks_of_an_inside_bar() -> None:
    for bars in (walked(260), walked(0)):
        found = State.of(bars).values(nothing_yet(1, bars.newest_day + 1))
        assert found.keys() == NAMES | {"inside_break_up", "inside_break_down"}
    assert all(find(name) is not None for name in NAMES)


MOTHER, INSIDE = (10.0, 15.0, 5.0, 12.0), (11.0, 14.0, 6.0, 12.0)


def breaks(price: float) -> tuple[float, float]:
    bars = by_hand(MOTHER, INSIDE)
    quote = ("A", price, price, price, price, 10, True)
    live = with_quotes(nothing_yet(1, bars.newest_day + 1), {"A": 0}, [quote])
    found = State.of(bars).values(live)
    return float(found["inside_break_up"][0]), float(found["inside_break_down"][0])


def test_a_price_a_thousandth_beyond_the_inside_bar_breaks_it() -> None:
    assert breaks(14.015) == (1, 0) and breaks(14.01) == (0, 0)
    assert breaks(5.99) == (0, 1) and breaks(5.995) == (0, 0)


def test_a_bar_that_is_not_inside_is_not_broken() -> None:
    bars = by_hand(INSIDE, MOTHER)
    live = with_quotes(nothing_yet(1, bars.newest_day + 1), {"A": 0}, [("A", 99.0, 99.0, 99.0, 99.0, 10, True)])
    assert State.of(bars).values(live)["inside_break_up"][0] == 0
