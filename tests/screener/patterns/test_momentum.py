from __future__ import annotations

import numpy as np
import pytest

from screener.patterns.momentum import PATTERNS, intraday_momentum, premarket_gap
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of


def closes(*values: float) -> list[Bar]:
    return [(value, value + 1.0, value - 1.0, value, 0.0) for value in values]


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        ((100.0, 101.0, 102.0, 101.5, 101.4, 103.0), 1),
        ((100.0, 101.0, 102.0, 101.5, 101.4, 101.0), 0),
        ((100.0, 99.0, 98.0, 98.5, 98.6, 97.0), -1),
        ((100.0, 101.0, 102.0, 103.0, 99.0, 98.0), 0),
        ((100.0, 100.0, 100.0, 100.0, 100.0, 100.0), 0),
    ],
)
def test_three_of_five_minutes_and_the_price_over_them_must_agree(values: tuple[float, ...], sign: int) -> None:
    assert intraday_momentum(Window.last(bars_of(closes(*values)))).item() == sign


def test_two_percent_before_the_open_are_a_gap_and_an_unknown_price_is_none() -> None:
    close = np.array([100.0, 100.0, 100.0, 50.0, 100.0])
    before_open = np.array([102.0, 101.9, 98.0, 51.0, np.nan])
    assert premarket_gap(before_open, close).tolist() == [1, 0, -1, 1, 0]


def test_a_bar_with_volume_is_not_one_before_the_open() -> None:
    fire = {pattern.name: pattern.fire for pattern in PATTERNS}["premarket_gap"]
    quiet, traded = (103.0, 103.0, 103.0, 103.0, 0.0), (103.0, 103.0, 103.0, 103.0, 10.0)
    assert fire(Window.last(bars_of([*closes(100.0), quiet]))).item() == 1
    assert fire(Window.last(bars_of([*closes(100.0), traded]))).item() == 0


def test_neither_is_among_the_patterns_of_daily_bars() -> None:
    assert {pattern.needs for pattern in PATTERNS} == {"minute bars", "pre-market price"}
