from __future__ import annotations

import numpy as np
import pytest

from screener.expressions.errors import ExpressionError
from screener.jobs.past import compiled
from screener.patterns.window import Window
from tests.fix_scans import Facts, bars_of, wandering

BARS = bars_of(wandering(12, bars=80))


@pytest.mark.parametrize("text", ["rsi14 < 45 and close < prev(close, 3)", "top(roc5, 3) and close > sma20"])
def test_a_part_of_the_market_fires_where_the_whole_does(text: str) -> None:
    past = compiled(text, BARS)
    whole = past.fire(Window(BARS, 0))
    part = np.array([7, 2, 5])
    assert whole.shape == (80, 12) and whole.any()
    assert np.array_equal(past.fire(Window(BARS.columns(part), 60)), whole[60:, part])


def test_what_fires_on_a_bar_does_not_change_when_later_bars_come() -> None:
    text = "close crosses_above sma20 or percentile(rsi14) > 90"
    whole = compiled(text, BARS).fire(Window(BARS, 0))
    for later in (1, 9):
        earlier = BARS.until(BARS.newest_day - later)
        found = compiled(text, earlier).fire(Window(earlier, later))
        assert np.array_equal(found, whole[: 80 - later])


def test_what_was_not_known_then_is_refused_or_labelled() -> None:
    facts = Facts(market_cap={"T0001": 5e9})
    with pytest.raises(ExpressionError, match="only today's market_cap is known"):
        compiled("market_cap > 1e9", BARS, columns=facts)
    past = compiled("market_cap > 1e9 and close > 0", BARS, columns=facts, allow_biased=True)
    assert past.biased == ("market_cap",)
    assert past.fire(Window(BARS, 78)).sum(axis=0).tolist() == [0, 2] + [0] * 10
