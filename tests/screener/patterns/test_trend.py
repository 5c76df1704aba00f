from __future__ import annotations

import numpy as np
import pytest

from screener.cube.bars import align
from screener.patterns.trend import PATTERNS, crossing_price
from screener.patterns.window import Window
from tests.fix_patterns import Bar, bars_of, flat, history, walks

FIRE = {pattern.name: pattern.fire for pattern in PATTERNS}
DISTANCE = {pattern.name: pattern.distance for pattern in PATTERNS}
MARKET = walks(60, 420, seed=5, tick=0.05, ragged=False)


def at(value: float, volume: float = 1000.0) -> Bar:
    return (value, value + 1.0, value - 1.0, value, volume)


def test_a_golden_cross_is_the_bar_on_which_the_shorter_mean_comes_to_lie_above() -> None:
    falling = [at(200.0 - 0.25 * day) for day in range(220)]
    rising = [at(falling[-1][3] + 3.0 * day) for day in range(1, 60)]
    bars = bars_of([*falling, *rising])
    closes = bars.close[:, 0].astype(float)
    means = [np.convolve(closes, np.full(length, 1 / length), "valid")[-100:] for length in (50, 200)]
    above = means[0][-79:] > means[1][-79:]
    crossed = int(np.flatnonzero(above)[0]) - 79
    fired = FIRE["golden_cross"](Window(bars, 0))[:, 0]
    assert np.flatnonzero(fired).tolist() == [len(closes) + crossed]
    assert not FIRE["death_cross"](Window(bars, 0))[-79:].any()


def test_the_price_at_which_the_means_meet_tomorrow_is_exact() -> None:
    rows = [at(200.0 - 0.25 * day) for day in range(260)]
    price = crossing_price(Window.last(bars_of(rows))).item()
    # The cube keeps 24 bits of a price.
    assert FIRE["golden_cross"](Window.last(bars_of([*rows, at(price * 1.00001)]))).item() == 1
    assert FIRE["golden_cross"](Window.last(bars_of([*rows, at(price * 0.99999)]))).item() == 0


def test_a_year_of_bars_makes_a_high_to_break_and_less_makes_none() -> None:
    year = flat(252)  # highs of 101
    assert FIRE["week_52_high_breakout"](Window.last(bars_of([*year, at(101.5)]))).item() == 1
    assert FIRE["week_52_high_breakout"](Window.last(bars_of([*year, at(101.0)]))).item() == 0
    assert FIRE["week_52_high_breakout"](Window.last(bars_of([*year[1:], at(101.5)]))).item() == 0
    assert FIRE["week_52_low_breakdown"](Window.last(bars_of([*year, at(98.5)]))).item() == -1
    assert FIRE["near_week_52_high"](Window.last(bars_of([*year, at(98.0)]))).item() == 1
    assert FIRE["near_week_52_high"](Window.last(bars_of([*year, at(97.9)]))).item() == 0


def test_a_surge_is_twice_the_volume_of_the_twenty_bars_before() -> None:
    assert FIRE["volume_surge"](Window.last(bars_of([*flat(20), at(101.0, 2000.0)]))).item() == 1
    assert FIRE["volume_surge"](Window.last(bars_of([*flat(20), at(99.0, 2000.0)]))).item() == -1
    assert FIRE["volume_surge"](Window.last(bars_of([*flat(20), at(101.0, 1999.0)]))).item() == 0


def test_a_squeeze_that_ends_fires_in_the_direction_of_its_momentum() -> None:
    window = Window(MARKET, 0)
    fired = FIRE["squeeze_fired"](window)
    on, before = window.measure("squeeze_on"), window.measure("squeeze_on", 1)
    assert np.array_equal(fired != 0, (on == 0) & (before == 1))
    places = fired != 0
    assert np.array_equal(fired[places] < 0, window.measure("squeeze_momentum")[places] < 0)
    assert {1, -1} <= set(np.unique(fired).tolist())


def leader(rise: float) -> list[Bar]:
    return [at(50.0 * (1.0 + rise) ** day) for day in range(300)]


def test_minervinis_template_wants_all_eight_conditions() -> None:
    steady = leader(0.004)
    others = [leader(rate) for rate in (0.0001, 0.0002, 0.0003, 0.0005)]
    fires = FIRE["minervini"]
    assert fires(Window.last(bars_of(steady, *others)))[-1].tolist() == [1, 0, 0, 0, 0]
    dropped = [*steady[:-1], at(steady[-30][3])]  # below SMA50
    assert fires(Window.last(bars_of(dropped, *others)))[-1, 0] == 0
    weak = [leader(rate) for rate in (0.005, 0.006, 0.007)]
    assert fires(Window.last(bars_of(steady, *weak)))[-1, 0] == 0  # RS rating below 70
    young = align([history("A", steady[-200:]), *(history(f"B{n}", rows) for n, rows in enumerate(others))])
    assert fires(Window.last(young))[-1, 0] == 0


@pytest.mark.parametrize(
    "name", ["golden_cross", "death_cross", "squeeze_fired", "week_52_high_breakout", "week_52_low_breakdown"]
)
def test_no_pattern_fires_where_a_bar_earlier_it_was_told_that_it_cannot(name: str) -> None:
    window = Window(MARKET, 0)
    distance = DISTANCE[name]
    assert distance is not None
    fired = FIRE[name](window)[1:] != 0
    assert fired.any()
    assert not (fired & ~np.isfinite(distance(window)[:-1])).any()
