from __future__ import annotations

import numpy as np
import pytest

from screener.patterns.pattern import NEVER, buys, either, in_atr, sells, with_trend
from screener.patterns.window import Window
from tests.fix_patterns import bars_of, flat

YES = np.array([[True]])


def test_signs_say_which_way() -> None:
    assert (buys(YES).item(), sells(YES).item()) == (1, -1)
    assert (either(YES, down=YES).item(), either(YES, down=~YES).item(), either(~YES, down=YES).item()) == (
        1 * -1,
        1,
        0,
    )


def test_what_has_no_direction_goes_with_the_trend_and_up_where_there_is_none_yet() -> None:
    down = [*flat(60), (100.0, 101.0, 89.0, 90.0)]
    assert with_trend(Window.last(bars_of(down)), YES).item() == -1
    assert with_trend(Window.last(bars_of(down[-10:])), YES).item() == 1


def test_a_distance_is_counted_in_atr_and_never_below_nothing() -> None:
    window = Window.last(bars_of(flat(30)))  # every bar has a range of 2
    assert in_atr(window, np.array([[3.0]])).item() == pytest.approx(1.5)
    assert in_atr(window, np.array([[-3.0]])).item() == 0.0
    assert in_atr(window, np.array([[3.0]]), ~YES).item() == NEVER
    assert in_atr(window, np.array([[np.nan]])).item() == NEVER
