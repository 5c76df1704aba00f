from __future__ import annotations

import numpy as np
import pytest

from screener.patterns.catalogue import DAILY, PATTERNS, fired
from screener.patterns.window import Window
from tests.fix_patterns import bars_of, flat, walks

MARKET = walks(12, 300, seed=7, tick=0.05)
CUT = slice(3, 9)


def test_names_are_unique_and_each_pattern_says_what_it_is() -> None:
    assert len(PATTERNS) == 11 + 6 + 8 + 2 + 15 + 61 + 1
    assert all(pattern.doc and pattern.name == name for name, pattern in PATTERNS.items())
    assert set(PATTERNS) - set(DAILY) == {"intraday_momentum", "premarket_gap"}


@pytest.mark.parametrize("name", DAILY)
def test_the_newest_row_and_a_part_of_the_market_give_what_the_whole_gives(name: str) -> None:
    whole = Window(MARKET, 0)
    held = {one: whole.measure(one) for one in PATTERNS[name].ranked}
    newest = Window.last(MARKET)
    part = Window(MARKET.columns(CUT), 0, ranked={one: values[:, CUT] for one, values in held.items()})
    assert np.array_equal(fired(name, newest), fired(name, whole)[-1:])
    assert np.array_equal(fired(name, part), fired(name, whole)[:, CUT])


@pytest.mark.parametrize("name", PATTERNS)
def test_a_ticker_with_three_bars_or_none_is_asked_without_an_error(name: str) -> None:
    few = bars_of(flat(3), flat(1), [])
    distance = PATTERNS[name].distance
    with np.errstate(all="raise"):
        assert fired(name, Window.last(few)).shape == (1, 3)
        assert distance is None or distance(Window.last(few)).shape == (1, 3)


def test_a_pattern_is_asked_once_for_a_window() -> None:
    window = Window.last(MARKET)
    assert fired("nr7", window) is fired("nr7", window)
