"""The flags are compared with the same conditions written out for one ticker and one bar, in plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from screener.cube.bars import Bars, History, align
from screener.patterns.lc import FLAGS, PATTERNS, find
from screener.patterns.window import Limits, Window
from tests.fix_patterns import FIRST_DAY, bars_of, flat

ANYTHING = Limits(min_volume=1e6, min_dollar_volume=1e6, min_price=1.0)
STEPS = {
    "d3_rise": (0.30, 0.20, 0.10, 0.07, 0.05),
    "d2_rise": (0.50, 0.30, 0.20, 0.15, 0.10),
    "d2_rise_1": (1.00, 0.50, 0.30, 0.20, 0.15),
    "run": (2.5, 2.0, 1.5, 1.0, 0.75),
}


def runners(tickers: int = 80, rows: int = 310, seed: int = 3) -> Bars:
    """Tickers that now and then run away for some days, with the volume that goes with it."""
    rng = np.random.default_rng(seed)
    histories = []
    for number in range(tickers):
        close, running, table = float(rng.uniform(4, 60)), 0, []
        for _ in range(rows):
            running = running - 1 if running else int(rng.integers(2, 7)) * int(rng.random() < 0.03)
            drift = rng.uniform(0.05, 0.35) if running else rng.normal(0.001, 0.015)
            start = close * (1 + (rng.uniform(0, 0.08) if running else rng.normal(0, 0.006)))
            last, close = close, max(close * (1 + drift), 1.0)
            high = max(start, close) * (1 + rng.uniform(0, 0.03))
            low = min(start, close) * (1 - rng.uniform(0, 0.02))
            table.append((start, high, low, close, float(rng.integers(20, 90)) * 1e6 if running else 4e6))
            close = last * 0.92 if running == 1 else close
        days = np.arange(FIRST_DAY, FIRST_DAY + rows, dtype=np.int32)
        histories.append(History(f"R{number}", days, *np.array(table).T))
    return align(histories)


class Ticker:
    """One ticker's bars and what the scan says of them, bar by bar. `t` counts from the first bar."""

    def __init__(self, bars: Bars, column: int) -> None:
        fields = ("open", "high", "low", "close", "volume")
        self.o, self.h, self.l, self.c, self.v = (getattr(bars, name)[:, column].astype(float) for name in fields)
        before = np.concatenate([[np.nan], self.c[:-1]])
        true = np.fmax(self.h, before) - np.fmin(self.l, before)
        self.atr = [np.nan if t < 14 else true[t - 14 : t].mean() for t in range(len(self.c))]
        self.emas = {length: self.ema(length) for length in (9, 20, 50, 200)}

    def ema(self, length: int) -> list[float]:
        values = [np.nan] * (length - 1) + [self.c[:length].mean()]
        for close in self.c[length:]:
            values.append(values[-1] + 2 / (length + 1) * (close - values[-1]))
        return values

    def hh(self, length: int, t: int) -> float:
        return float(self.h[t - length + 1 : t + 1].max())

    def ll(self, length: int, t: int) -> float:
        return float(self.l[t - length + 1 : t + 1].min())

    def step(self, name: str, t: int) -> float:
        tier = sum(self.c[t] >= edge for edge in (15, 25, 50, 90))
        return STEPS[name][tier] if self.c[t] >= 5 else np.inf

    def rise(self, t: int) -> float:
        return float(self.h[t] / self.c[t - 1] - 1)

    def thrust(self, t: int) -> float:
        return float((self.h[t] - self.o[t]) / self.atr[t])

    def gap(self, t: int) -> float:
        return float((self.o[t] - self.c[t - 1]) / self.atr[t])

    def above(self, length: int, t: int) -> float:
        return float((self.h[t] - self.emas[length][t]) / self.atr[t])

    def place(self, t: int) -> float:
        return float((self.c[t] - self.l[t]) / (self.h[t] - self.l[t]))

    def dollars(self, t: int) -> float:
        return float(self.c[t] * self.v[t])

    def traded(self, t: int, least_price: float) -> bool:
        return bool(self.v[t] >= 1e6 and self.dollars(t) >= 1e6 and self.c[t] >= least_price)

    def stacked(self, t: int, *lengths: int) -> bool:
        values = [self.emas[length][t] for length in lengths]
        return values == sorted(values, reverse=True)

    def front(self, t: int) -> bool:
        return bool(self.h[t] >= self.hh(250, t)) and self.stacked(t, 9, 20, 50, 200)


def frontside_d3_extended_1(x: Ticker, t: int) -> bool:
    return (
        x.h[t] >= x.h[t - 1] >= x.h[t - 2]
        and x.l[t] >= x.l[t - 1] >= x.l[t - 2]
        and min(x.rise(t), x.rise(t - 1)) >= x.step("d3_rise", t)
        and x.h[t] / x.ll(20, t) - 1 >= x.step("run", t)
        and x.thrust(t - 1) >= 0.7
        and x.c[t - 1] >= x.o[t - 1]
        and x.above(9, t - 1) >= 1.5
        and x.above(20, t - 1) >= 2
        and x.thrust(t) >= 1
        and x.c[t] >= x.o[t]
        and x.above(9, t) >= 1.5
        and x.above(20, t) >= 2
        and x.traded(t, 5)
        and x.v[t - 1] >= 1e6
        and x.dollars(t - 1) >= 100e6
        and (x.h[t] - x.hh(20, t - 2)) / x.atr[t] >= 2.5
        and x.h[t] >= x.hh(20, t)
        and x.stacked(t, 9, 20, 50)
    )


def d2_extended(x: Ticker, t: int, rise: str) -> bool:
    return (
        x.h[t] >= x.h[t - 1]
        and x.l[t] >= x.l[t - 1]
        and x.rise(t) >= x.step(rise, t)
        and x.hh(5, t - 1) / x.ll(20, t - 1) - 1 >= x.step("run", t)
        and x.thrust(t) >= 1.5
        and x.c[t] >= x.o[t]
        and x.above(9, t) >= 2
        and x.above(20, t) >= 3
        and x.traded(t, 5)
        and (x.h[t] - x.hh(20, t - 1)) / x.atr[t] >= 1
        and sum(x.dollars(t - lag) for lag in range(1, 6)) >= 500e6
        and x.h[t] >= x.hh(20, t)
        and x.stacked(t, 9, 20, 50)
    )


def low_above_ema9(x: Ticker, t: int) -> bool:
    return bool((x.l[t] - x.emas[9][t]) / x.atr[t] >= 1)


def d3_extended_1(x: Ticker, t: int) -> bool:
    return (
        x.h[t] >= x.h[t - 1] >= x.h[t - 2]
        and x.thrust(t - 1) >= 0.5
        and x.gap(t - 1) >= 0.2
        and x.place(t - 1) >= 0.6
        and x.c[t - 1] >= x.o[t - 1]
        and x.above(9, t - 1) >= 1.5
        and x.above(20, t - 1) >= 3
        and x.thrust(t) >= 0.7
        and x.gap(t) >= 0.2
        and x.place(t) >= 0.6
        and x.above(9, t) >= 2
        and x.above(50, t) >= 4
        and x.traded(t, 20)
    )


def fbo(x: Ticker, t: int) -> bool:
    level, high = x.hh(50, t - 4), x.h[t]
    return (
        max(x.thrust(t), (high - x.c[t - 1]) / x.atr[t]) >= 0.5
        and high >= x.h[t - 1]
        and x.place(t) >= 0.3
        and x.c[t] >= x.o[t]
        and x.traded(t, 20)
        and abs(high - level) <= x.atr[t]
        and level >= x.hh(100, t - 4)
        and max(x.h[t - 3 : t]) < level
        and x.stacked(t, 9, 20, 50, 200)
        and ((high - x.ll(20, t)) / x.atr[t] >= 4 or (high - x.ll(5, t)) / x.atr[t] >= 2)
    )


BY_HAND: dict[str, Callable[[Ticker, int], bool]] = {
    "lc_frontside_d3_extended_1": frontside_d3_extended_1,
    "lc_frontside_d2_extended": lambda x, t: d2_extended(x, t, "d2_rise") and low_above_ema9(x, t),
    "lc_frontside_d2_extended_1": lambda x, t: d2_extended(x, t, "d2_rise_1"),
    "lc_frontside_d3_extended_1_older": lambda x, t: d3_extended_1(x, t) and x.front(t),
    "lc_backside_d3_extended_1": lambda x, t: d3_extended_1(x, t) and not x.front(t),
    "lc_fbo": fbo,
}


@pytest.fixture(scope="module")
def market() -> Bars:
    return runners()


@pytest.fixture(scope="module")
def tickers(market: Bars) -> list[Ticker]:
    return [Ticker(market, column) for column in range(market.width)]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_flag_is_what_its_conditions_say_bar_by_bar(name: str, market: Bars, tickers: list[Ticker]) -> None:
    found = find(name, Window(market, 254, limits=ANYTHING))
    expected = [[BY_HAND[name](one, row) for one in tickers] for row in range(254, market.rows)]
    assert np.array_equal(found != 0, np.array(expected))
    assert found.any()


def test_every_flag_is_seen_on_tickers_that_run_away_and_none_on_quiet_ones(market: Bars) -> None:
    window = Window(market, 0, limits=ANYTHING)
    assert {name for name in FLAGS if find(name, window).any()} >= set(FLAGS) - {"lc_backside_d4_para"}
    quiet = Window(bars_of(flat(300, volume=50e6)), 0, limits=ANYTHING)
    assert not any(find(name, quiet).any() for name in FLAGS)


@pytest.mark.parametrize("limits", [Limits(min_volume=1e12), Limits(min_dollar_volume=1e15), Limits(min_price=1e9)])
def test_what_trades_too_little_or_costs_too_little_is_not_looked_at(limits: Limits, market: Bars) -> None:
    assert not any(find(name, Window(market, 0, limits=limits)).any() for name in FLAGS)


def test_one_tickers_bars_tell_nothing_of_another(market: Bars) -> None:
    alone = Window(market.columns(slice(7, 8)), 0, limits=ANYTHING)
    together = Window(market, 0, limits=ANYTHING)
    for name in FLAGS:
        assert np.array_equal(find(name, alone), find(name, together)[:, 7:8])


def test_a_ticker_that_has_not_traded_250_bars_is_on_neither_side(market: Bars) -> None:
    young = Window(market.tail(240), 0, limits=ANYTHING)
    sided = [name for name in FLAGS if "side" in name and "extended" not in name]
    assert not any(find(name, young).any() for name in sided)


@pytest.mark.parametrize("pattern", [one for one in PATTERNS if one.distance], ids=lambda one: one.name)
def test_no_flag_fires_where_a_bar_earlier_it_was_told_that_it_cannot(pattern: object, market: Bars) -> None:
    window = Window(market, 0, limits=ANYTHING)
    fired = pattern.fire(window)[1:] != 0  # type: ignore[attr-defined]
    distance = pattern.distance(window)[:-1]  # type: ignore[attr-defined]
    assert fired.any()
    assert not (fired & ~np.isfinite(distance)).any()
