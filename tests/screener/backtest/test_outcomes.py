from __future__ import annotations

import numpy as np

from screener.backtest.outcomes import Events, Tallies, count, forward_returns
from tests.fix_patterns import bars_of

BARS = bars_of(
    [(10.0, 11.0, 9.0, 10.0), (20.0, 23.0, 19.0, 22.0), (24.0, 25.0, 23.0, 25.0)],
    [(10.0, 11.0, 9.0, 10.0), (10.0, 11.0, 4.0, 5.0)],
)


def test_a_return_is_from_the_next_open_to_the_close_of_the_horizon() -> None:
    one, two = forward_returns(BARS, 0, 1), forward_returns(BARS, 0, 2)
    assert one[0, 0] == np.float32(22.0 / 20.0) - 1
    assert one[1, 0] == np.float32(25.0 / 24.0) - 1
    assert two[0, 0] == np.float32(25.0 / 20.0) - 1
    assert one[1, 1] == np.float32(5.0 / 10.0) - 1  # its first bar is in row 1


def test_what_is_not_over_yet_has_no_return() -> None:
    assert np.isnan(forward_returns(BARS, 0, 1)[2]).all()
    assert np.isnan(forward_returns(BARS, 0, 2)[1:]).all()
    assert np.isnan(forward_returns(BARS, 0, 9)).all()
    assert forward_returns(BARS, 1, 1).shape == (2, 2)


def test_a_ticker_has_no_return_before_its_first_bar() -> None:
    assert np.isnan(forward_returns(BARS, 0, 2)[0, 1])


def test_events_are_counted_by_side_and_those_without_an_end_not_at_all() -> None:
    tallies = Tallies()
    signs = np.array([[1, 0], [-1, -1], [1, 1]], np.int16)
    count(tallies, {"x": Events.of(signs)}, forward_returns(BARS, 0, 1), 1)
    buys, sells = tallies.of["x", 1, 1], tallies.of["x", -1, 1]
    assert (buys.events, buys.hits) == (1, 1)
    assert (sells.events, sells.hits) == (2, 1)
    assert np.isclose(sells.total, 0.5 - (25.0 / 24.0 - 1.0))
    base = tallies.base[1]
    assert (base.bars, base.rose, base.fell) == (3, 2, 1)
