from __future__ import annotations

import numpy as np
import pytest

from screener.jobs.families import FLAGS_AS, Measures, Patterns, arms, families
from screener.jobs.market import Market
from screener.jobs.past import compiled
from screener.measures.catalogue import CATALOGUE
from screener.measures.market import blocks
from screener.patterns.catalogue import PATTERNS
from screener.patterns.parabolic import parabolic_score
from screener.patterns.window import Window
from tests.fix_scans import bars_of, leaders, market_of, wandering
from tests.screener.patterns.test_lc import runners


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
    fired = Patterns().compute(market.bars, [name for name in tellable if name in PATTERNS], 1)
    flags = Measures().compute(market.bars, [name for name in tellable if name in CATALOGUE], 1)
    for name, state in tellable.items():
        values = (fired if name in fired else flags)[name][-1]
        assert not (np.nan_to_num(values) != 0)[~state.where].any(), name
    assert set(told) == set(PATTERNS) | set(FLAGS_AS)


def test_no_name_means_two_things() -> None:
    assert set(CATALOGUE).isdisjoint(PATTERNS)


def test_minervini_ranks_among_the_whole_market_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block holds the 30 strongest of 300: each is among the best tenth, so each has a rating above 70."""
    monkeypatch.setattr(blocks, "__kwdefaults__", {"size": 30})
    bars = leaders(30, others=270)
    assert len(blocks(bars.width)) == 10
    assert Patterns().compute(bars, ["minervini"], 1)["minervini"][-1].tolist() == [1.0] * 30 + [0.0] * 270
    market = Market(bars, families(), None)
    distance = arms()["minervini"](market)
    assert distance is not None and (distance.distance[:30] == 0).all() and (distance.distance[30:] > 0).all()
    past = compiled("minervini", bars)
    assert past.fire(Window.last(bars.columns(slice(0, 30)))).all(), "a back-test looks at one block at a time"


def test_a_flag_that_is_a_pattern_by_another_name_is_as_far_as_that() -> None:
    market = market_of({"LOW": [*[100.0] * 252, 50.0], "HIGH": [*[100.0] * 252, 100.0]})
    flag, pattern = arms()["new_high_52w"](market), arms()["week_52_high_breakout"](market)
    assert flag is not None and pattern is not None
    assert flag.distance.tolist() == pattern.distance.tolist() and flag.distance[0] > flag.distance[1]


def test_the_parabolic_score_is_a_number_of_any_bar() -> None:
    market = Market(runners(12), families(), None)
    field = market.vocabulary["parabolic_score"]
    assert (field.kind, field.unit, field.dated) == ("number", "0-100", True)
    expected = parabolic_score(Window(market.bars, market.bars.rows - 40))
    assert np.nanmax(expected) > 40
    np.testing.assert_array_equal(market.numbers("parabolic_score", 40), expected)
