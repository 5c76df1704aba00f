from __future__ import annotations

import numpy as np

from screener.cube.bars import Floats
from screener.measures.panel import SPARE_ROWS, Panel, cached, looked_back
from tests.fix_screener import walked


def test_prices_are_widened_once_and_bars_stay_as_they_are() -> None:
    panel = Panel(walked(5, 3))
    assert panel.close.dtype == np.float64 and panel.close is panel.close
    assert (panel.depth, panel.width, panel.ragged) == (5, 2, True)
    assert panel.bars.close.dtype == np.float32


def test_a_lag_looks_back_from_each_of_the_rows() -> None:
    panel = Panel(walked(5), rows=2)
    closes = panel.close[:, 0].tolist()
    assert panel.lag("close", 1)[:, 0].tolist() == closes[2:4]
    assert panel.lag("high", 0, 1)[0, 0] == panel.high[-1, 0]
    assert np.isnan(panel.lag("low", 4)[0, 0])


def test_filled_is_0_where_no_bar_is() -> None:
    panel = Panel(walked(5, 3))
    assert panel.filled_close[:2, 1].tolist() == [0, 0]
    even = Panel(walked(5, 5))
    assert even.filled_close is even.close


def test_what_was_computed_is_kept_by_its_arguments() -> None:
    asked: list[int] = []

    @cached
    def squared(panel: Panel, number: int) -> int:
        asked.append(number)
        return number * number

    panel = Panel(walked(2))
    assert [squared(panel, 3), squared(panel, 3), squared(panel, 4)] == [9, 9, 16]
    assert asked == [3, 4]
    squared(Panel(walked(2)), 3)
    assert asked == [3, 4, 3]


def test_an_average_is_computed_for_some_rows_more_and_again_only_for_many_more() -> None:
    asked: list[int] = []

    @looked_back
    def rows_of(panel: Panel, length: int, rows: int) -> Floats:
        asked.append(rows)
        return np.arange(rows, dtype=np.float64)[:, None]

    panel = Panel(walked(2))
    assert rows_of(panel, 14, 1).shape == (1, 1) and rows_of(panel, 14, 1 + SPARE_ROWS).shape == (1 + SPARE_ROWS, 1)
    assert asked == [1 + SPARE_ROWS]
    rows_of(panel, 14, 100)
    rows_of(panel, 2, 1)
    assert asked == [1 + SPARE_ROWS, 100 + SPARE_ROWS, 1 + SPARE_ROWS]
