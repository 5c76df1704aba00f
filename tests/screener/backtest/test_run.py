from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from screener.backtest import run as module
from screener.backtest.run import Outcome, Stopped, blocks, rates, run
from screener.cube.bars import Bars
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import DEPTH, Limits, Window
from tests.fix_patterns import FIRST_DAY, bars_of, flat, scaled, walks

NAMES = ("inside_bar_bullish_breakout", "nr7", "golden_cross", "cdlengulfing", "minervini")
CONDITIONS = {name: PATTERNS[name].fire for name in NAMES}
MARKET = walks(30, 330, seed=9, tick=0.05)


def table(outcomes: list[Outcome]) -> Mapping[tuple[str, int, int], Outcome]:
    return {(one.name, one.side, one.rate.horizon): one for one in outcomes}


def test_counts_are_those_of_a_loop_over_tickers_and_bars() -> None:
    found = table(run(MARKET, {"nr7": PATTERNS["nr7"].fire}, horizons=(5,)))
    signs = PATTERNS["nr7"].fire(Window(MARKET, 0))
    events = {1: [], -1: []}  # type: dict[int, list[float]]
    for column in range(MARKET.width):
        for row in range(DEPTH, MARKET.rows - 5):
            if signs[row, column]:
                gained = float(MARKET.close[row + 5, column]) / float(MARKET.open[row + 1, column]) - 1
                events[int(signs[row, column])].append(gained)
    for side, gains in events.items():
        one = found["nr7", side, 5]
        assert one.rate.events == len(gains)
        assert one.rate.hits == sum(side * gain > 1e-7 for gain in gains)
        assert one.mean_return == pytest.approx(side * np.mean(gains), abs=1e-6)


def test_the_past_alone_decides_what_fires_so_that_bars_after_it_change_no_event() -> None:
    """Every later bar is made a crash: what fired before it is the same."""
    crashed = scaled(MARKET, 0.25, rows=40)
    days = (FIRST_DAY, FIRST_DAY + 330 - 40 - 6)
    before, after = (table(run(bars, CONDITIONS, horizons=(5,), days=days)) for bars in (MARKET, crashed))
    assert before == after
    assert before


def test_the_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(MARKET, CONDITIONS, ranked=("rs_rating",))
    monkeypatch.setattr(module, "BLOCK_BARS", 330 * 7)
    cut = run(MARKET, CONDITIONS, ranked=("rs_rating",))
    assert len(blocks(MARKET)) == 5
    assert [(one.name, one.side, one.rate) for one in whole] == [(one.name, one.side, one.rate) for one in cut]


def test_only_events_and_bars_of_the_days_asked_for_count() -> None:
    days = (FIRST_DAY + 200, FIRST_DAY + 219)
    inside = run(MARKET, {"all": lambda window: window.close() > 0}, horizons=(1,), days=days)
    (one,) = inside
    held = MARKET.session[(MARKET.session >= days[0]) & (MARKET.session <= days[1])]
    assert one.rate.events == len(held)
    assert one.rate.rate == one.base_rate


def test_a_condition_that_only_says_yes_says_buy() -> None:
    (one,) = run(MARKET, {"up": lambda window: window.close() > window.open()}, horizons=(1,))
    assert one.side == 1


def test_limits_reach_the_patterns_that_ask_for_them() -> None:
    seen = []

    def asks(window: Window) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        seen.append(window.limits.min_volume)
        return window.close() > 0

    run(MARKET, {"x": asks}, limits=Limits(min_volume=7.0))
    assert set(seen) == {7.0}


@pytest.mark.parametrize("bars", [bars_of(flat(3)), bars_of([]), bars_of(flat(1), flat(40))])
def test_markets_with_hardly_a_bar_have_outcomes_only_where_something_is_known(bars: Bars) -> None:
    found = run(bars, CONDITIONS, ranked=("rs_rating",))
    assert all(one.rate.rate is None for one in found)


def test_the_rates_beside_signals_are_those_of_one_horizon() -> None:
    outcomes = run(MARKET, {"nr7": PATTERNS["nr7"].fire})
    assert rates(outcomes)["nr7", 1] == table(outcomes)["nr7", 1, 10].rate
    assert set(rates(outcomes, horizon=99)) == set()


def test_a_back_test_that_is_stopped_gives_no_half_answer() -> None:
    with pytest.raises(Stopped):
        run(bars_of(flat(60)), {"nr7": PATTERNS["nr7"].fire}, stopped=lambda: True)
