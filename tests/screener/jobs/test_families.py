from __future__ import annotations

import numpy as np

from screener.jobs.families import Measures, Patterns, arms
from screener.patterns.catalogue import PATTERNS
from tests.fix_scans import bars_of, market_of, wandering


def test_a_pattern_is_not_known_where_there_is_no_bar_and_0_where_it_is_not_there() -> None:
    bars = bars_of({"A": [10.0] * 8, "N": [5.0]})
    found = Patterns().compute(bars, ["inside_bar_bullish_breakout"], 3)["inside_bar_bullish_breakout"]
    assert np.isnan(found[:2, 1]).all() and found[-1].tolist() == [0.0, 0.0]


def test_rows_that_are_not_there_are_not_asked_for() -> None:
    bars = bars_of({"A": [10.0] * 4})
    assert Measures().compute(bars, ["close"], 9)["close"].shape == (4, 1)
    assert Patterns().compute(bars, ["nr7"], 9)["nr7"].shape == (4, 1)


def test_fields_say_what_they_are() -> None:
    assert Measures().find("rs_rating").market_wide and Measures().find("nothing") is None  # type: ignore[union-attr]
    inside = Patterns().find("inside_bar_bullish_breakout")
    assert inside is not None and inside.signed and inside.kind == "flag" and inside.doc


def test_what_a_pattern_disarms_cannot_fire_on_the_next_bar() -> None:
    market = market_of(wandering(300, bars=80))
    told = {name: arm(market.before()) for name, arm in arms().items()}
    tellable = {name: state for name, state in told.items() if state is not None}
    assert len(tellable) > 5
    fired = Patterns().compute(market.bars, list(tellable), 1)
    for name, state in tellable.items():
        assert not (fired[name][-1] != 0)[~state.where].any(), name
    assert set(told) == set(PATTERNS)
