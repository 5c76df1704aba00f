from __future__ import annotations

import pytest

from screener.patterns.gaps import PATTERNS
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of

FIRE = {pattern.name: pattern.fire for pattern in PATTERNS}
BEFORE: Bar = (100.0, 102.0, 98.0, 101.0)


@pytest.mark.parametrize(
    ("opens", "found"),
    [
        (102.5, {"gap_up": 1}),
        (102.0, {"gap_up_partial": 1}),
        (101.0, {}),
        (98.0, {"gap_down_partial": -1}),
        (97.5, {"gap_down": -1}),
    ],
)
def test_a_gap_is_full_beyond_the_bar_before_and_partial_beyond_its_close(opens: float, found: dict[str, int]) -> None:
    window = Window.last(bars_of([BEFORE, (opens, opens + 5.0, opens - 5.0, opens)]))
    names = ("gap_up", "gap_up_partial", "gap_down", "gap_down_partial")
    assert {name: int(FIRE[name](window).item()) for name in names if FIRE[name](window).item()} == found


def test_the_break_of_a_gap_is_that_of_the_completed_bar_which_gapped() -> None:
    gapped, small = (102.0, 103.0, 101.5, 102.5), (101.4, 103.0, 101.0, 102.5)
    breaks = (103.0, 104.0, 103.0, 103.2)
    fire = FIRE["gap_up_breakout"]
    assert fire(Window.last(bars_of([BEFORE, gapped, breaks]))).item() == 1
    assert fire(Window.last(bars_of([BEFORE, small, breaks]))).item() == 0
    assert fire(Window.last(bars_of([BEFORE, gapped, (103.0, 104.0, 103.0, 103.1)]))).item() == 0
    down, through = (100.0, 100.5, 99.0, 99.5), (99.0, 99.0, 98.0, 98.5)
    assert FIRE["gap_down_breakdown"](Window.last(bars_of([BEFORE, down, through]))).item() == -1
