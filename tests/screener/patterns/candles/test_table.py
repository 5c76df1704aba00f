from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import talib
from talib import abstract

from screener.cube.bars import Bars
from screener.patterns.candles.parts import Candles
from screener.patterns.candles.table import CANDLES, OWN, find
from screener.patterns.window import Window
from tests.fix_patterns import walks

COARSE = walks(240, 400, seed=1, tick=1.0)
CENTS = walks(60, 300, seed=2, tick=0.01)
NEVER_DRAWN = {"cdl3starsinsouth", "cdlconcealbabyswall"}
"""So rare that random bars do not hold them: test_three.py and test_many.py build them by hand."""


def of_talib(name: str, bars: Bars, column: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    start = int(bars.starts[column])
    series = [getattr(bars, field)[start:, column].astype(float) for field in ("open", "high", "low", "close")]
    found: np.ndarray[tuple[int, ...], np.dtype[np.int32]] = getattr(talib, name.upper())(*series)
    return np.concatenate([np.zeros(start, np.int32), found])


def test_the_set_is_talibs_and_each_pattern_needs_the_bars_that_it_needs_there() -> None:
    library, functions = cast(Any, talib), cast(Any, abstract)  # it ships few types
    names = library.get_function_groups()["Pattern Recognition"]
    theirs = {name.lower(): functions.Function(name).lookback for name in names}
    assert {name: candle.before for name, candle in CANDLES.items()} == theirs


@pytest.mark.parametrize("bars", [COARSE, CENTS], ids=["coarse", "cents"])
def test_no_bar_is_judged_otherwise_than_by_talib(bars: Bars) -> None:
    at = Candles(Window(bars, 0))
    wrong = {}
    for name in CANDLES:
        ours = find(name, at)
        differ = sum(int(np.count_nonzero(of_talib(name, bars, one) != ours[:, one])) for one in range(bars.width))
        if differ:
            wrong[name] = differ
    assert wrong == {}


def test_the_random_bars_hold_every_pattern_so_that_agreement_says_something() -> None:
    at = Candles(Window(COARSE, 0))
    assert {name for name in CANDLES if not find(name, at).any()} <= NEVER_DRAWN


@pytest.mark.parametrize("name", [*CANDLES, *OWN])
def test_the_newest_row_alone_gives_what_all_rows_give(name: str) -> None:
    whole, newest = find(name, Candles(Window(CENTS, 0))), find(name, Candles(Window.last(CENTS)))
    assert np.array_equal(whole[-1:], newest)


def test_three_bars_are_enough_to_be_asked_and_too_few_to_be_judged() -> None:
    few = CENTS.tail(3)
    at = Candles(Window(few, 0))
    assert {name for name in CANDLES if find(name, at).any()} <= {"cdlengulfing", "cdlxsidegap3methods"}
