"""The LC scan: heavily traded stocks that run away from their averages. Judges bars; knows no ticker.

Tiers by price, thresholds in ATR, the twelve older flags and the three newer ones with their numbers as they were
published. Mended: the close's place in the day's range is (c-l)/(h-l), not (c-l)/(h-o); the price limit of $2bn in two
flags is the $20 of the others; ATR and averages are of one ticker and of all its bars, red days and quiet days as well.
ATR here is the mean true range of the 14 bars before the bar.
Adjusted for splits, as all bars are: in a past before a split the tier is that of the adjusted price.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from screener.patterns.pattern import Pattern, in_atr
from screener.patterns.window import Flags, Floats, Signs, Window

ATR_BARS = 14
PRICE_TIERS = (5.0, 15.0, 25.0, 50.0, 90.0)
"""Lower ends, in dollars."""
D3_RISE = (0.30, 0.20, 0.10, 0.07, 0.05)
D2_RISE = (0.50, 0.30, 0.20, 0.15, 0.10)
D2_RISE_1 = (1.00, 0.50, 0.30, 0.20, 0.15)
RUN = (2.5, 2.0, 1.5, 1.0, 0.75)
"""By price tier: rise of the high over the close before, and of a high over the low of 20 bars; fractions."""
BEFORE_DOLLARS = 100e6
"""What the bar before must have traded on the third day of a run."""
SETTLED = 20.0
"""Least price of the older flags, in dollars."""


class Measured:
    """What the conditions are made of, by bars back; `at.h(1)` is the high one bar before."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def gap(self, lag: int = 0) -> Floats:
        return (self.window.open(lag) - self.window.close(lag + 1)) / self.atr(lag)

    def atr(self, lag: int = 0) -> Floats:
        return self._atr[len(self._atr) - self.window.rows - lag : len(self._atr) - lag]

    def thrust(self, lag: int = 0) -> Floats:
        """From the open to the high, in ATR."""
        return (self.window.high(lag) - self.window.open(lag)) / self.atr(lag)

    def rise(self, lag: int = 0) -> Floats:
        """From the close before to the high, as a fraction."""
        return self.window.high(lag) / self.window.close(lag + 1) - 1.0

    def above(self, average: int, lag: int = 0) -> Floats:
        """From an EMA to the high, in ATR."""
        return (self.window.high(lag) - self.window.measure(f"ema{average}", lag)) / self.atr(lag)

    def place(self, lag: int = 0) -> Floats:
        """Where the close lies in the range of the day: 0 at the low, 1 at the high; NaN without a range."""
        low, high = self.window.low(lag), self.window.high(lag)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.window.close(lag) - low) / (high - low)

    def up_day(self, lag: int = 0) -> Flags:
        return self.window.close(lag) >= self.window.open(lag)

    def highest(self, bars: int, lag: int = 0) -> Floats:
        return self.window.measure(f"highest{bars}", lag)

    def lowest(self, bars: int, lag: int = 0) -> Floats:
        return self.window.measure(f"lowest{bars}", lag)

    def dollars(self, lag: int = 0) -> Floats:
        return self.window.close(lag) * self.window.volume(lag)

    def higher_highs(self, bars: int) -> Flags:
        """The high of each of the `bars` newest bars is not below the one before it."""
        found = self.window.high() >= self.window.high(1)
        for lag in range(1, bars):
            found = found & (self.window.high(lag) >= self.window.high(lag + 1))
        return found

    def higher_lows(self, bars: int) -> Flags:
        found = self.window.low() >= self.window.low(1)
        for lag in range(1, bars):
            found = found & (self.window.low(lag) >= self.window.low(lag + 1))
        return found

    def traded(self, min_price: float) -> Flags:
        """Shares, dollars and price of the bar reach the limits."""
        window, limits = self.window, self.window.limits
        enough = (window.volume() >= limits.min_volume) & (self.dollars() >= limits.min_dollar_volume)
        return enough & (window.close() >= max(min_price, limits.min_price))

    def tier(self, values: tuple[float, ...]) -> Floats:
        """Return the threshold of the tier in which the close lies; NaN below the lowest."""
        index = np.searchsorted(PRICE_TIERS, self.window.close(), side="right") - 1
        known = (index >= 0) & ~np.isnan(self.window.close())
        return np.where(known, np.asarray(values)[np.clip(index, 0, len(values) - 1)], np.nan)

    @cached_property
    def stacked(self) -> Flags:
        """EMA9 >= EMA20 >= EMA50."""
        ema20 = self.window.measure("ema20")
        return (self.window.measure("ema9") >= ema20) & (ema20 >= self.window.measure("ema50"))

    @cached_property
    def front(self) -> Flags:
        """Front side: a high of 250 bars, and EMA9 >= EMA20 >= EMA50 >= EMA200."""
        order = self.stacked & (self.window.measure("ema50") >= self.window.measure("ema200"))
        return order & (self.window.high() >= self.highest(250))

    @cached_property
    def back(self) -> Flags:
        """Back side: known, and not the front."""
        return ~self.front & ~np.isnan(self.highest(250)) & ~np.isnan(self.window.measure("ema200"))

    @cached_property
    def _atr(self) -> Floats:
        """Mean true range of the 14 bars before; from DEPTH rows above the window's first."""
        window = self.window
        high, low, close = window.block("high"), window.block("low"), window.block("close")
        true = high - low
        true[1:] = np.fmax(high[1:], close[:-1]) - np.fmin(low[1:], close[:-1])
        total = np.zeros((len(true) + 1, true.shape[1]))
        np.cumsum(np.nan_to_num(true), axis=0, out=total[1:])
        mean = np.full(true.shape, np.nan)
        mean[ATR_BARS:] = (total[ATR_BARS:-1] - total[: -ATR_BARS - 1]) / ATR_BARS
        # Window.block starts DEPTH rows above `first`.
        row = np.arange(len(mean))[:, None] + window.first - (len(mean) - window.rows)
        mean[row < window.bars.starts + ATR_BARS] = np.nan
        mean[mean <= 0.0] = np.nan
        return mean


def _all(*conditions: Flags) -> Flags:
    return np.asarray(np.logical_and.reduce(conditions))


def frontside_d3_extended_1(at: Measured) -> Flags:
    """Third day of a run, extended on both of the last two."""
    tier = _all(
        at.rise() >= at.tier(D3_RISE),
        at.rise(1) >= at.tier(D3_RISE),
        at.window.high() / at.lowest(20) - 1.0 >= at.tier(RUN),
    )
    before = _all(at.thrust(1) >= 0.7, at.up_day(1), at.above(9, 1) >= 1.5, at.above(20, 1) >= 2.0)
    today = _all(at.thrust() >= 1.0, at.up_day(), at.above(9) >= 1.5, at.above(20) >= 2.0, at.traded(5.0))
    traded_before = (at.window.volume(1) >= at.window.limits.min_volume) & (at.dollars(1) >= BEFORE_DOLLARS)
    high = (at.window.high() - at.highest(20, 2)) / at.atr() >= 2.5
    top = (at.window.high() >= at.highest(20)) & at.stacked
    return _all(at.higher_highs(2), at.higher_lows(2), tier, before, today, traded_before, high, top)


def frontside_d2_extended(at: Measured) -> Flags:
    """Second day of a run; its low already lies an ATR above EMA9."""
    low = (at.window.low() - at.window.measure("ema9")) / at.atr() >= 1.0
    return _d2_extended(at, D2_RISE) & low


def frontside_d2_extended_1(at: Measured) -> Flags:
    """The same with a larger rise and without the condition on its low."""
    return _d2_extended(at, D2_RISE_1)


def _d2_extended(at: Measured, rise: tuple[float, ...]) -> Flags:
    run = at.highest(5, 1) / at.lowest(20, 1) - 1.0
    today = _all(at.thrust() >= 1.5, at.up_day(), at.above(9) >= 2.0, at.above(20) >= 3.0, at.traded(5.0))
    high = (at.window.high() - at.highest(20, 1)) / at.atr() >= 1.0
    dollars = np.sum([at.dollars(lag) for lag in range(1, 6)], axis=0) >= 500e6
    top = (at.window.high() >= at.highest(20)) & at.stacked
    tier = (at.rise() >= at.tier(rise)) & (run >= at.tier(RUN))
    return _all(at.higher_highs(1), at.higher_lows(1), tier, today, high, dollars, top)


def d3_extended_1(at: Measured) -> Flags:
    before = _all(at.thrust(1) >= 0.5, at.gap(1) >= 0.2, at.place(1) >= 0.6, at.up_day(1))
    before = _all(before, at.above(9, 1) >= 1.5, at.above(20, 1) >= 3.0)
    today = _all(at.thrust() >= 0.7, at.gap() >= 0.2, at.place() >= 0.6, at.above(9) >= 2.0, at.above(50) >= 4.0)
    return _all(at.higher_highs(2), before, today, at.traded(SETTLED))


def d3_extended_2(at: Measured) -> Flags:
    before = _all(at.thrust(1) >= 0.3, at.place(1) >= 0.5, at.up_day(1), at.above(9, 1) >= 1.0)
    first = at.window.high(1) - at.window.open(1)
    steady = first >= 0.4 * (at.window.high() - at.window.open())
    today = _all(at.thrust() >= 0.6, at.gap() >= 0.2, at.place() >= 0.4, at.above(9) >= 1.5, at.above(20) >= 3.0)
    return _all(at.higher_highs(2), before, steady, today, at.traded(SETTLED))


def d4_para(at: Measured) -> Flags:
    run = _all(at.above(9, 2) >= 1.0, at.above(9, 3) >= 1.0, at.above(9, 4) >= 1.0, at.up_day(2))
    before = _all(at.above(20, 2) >= 1.5, at.thrust(1) >= 0.3, at.gap(1) >= 0.0, at.place(1) >= 0.3, at.up_day(1))
    before = _all(before, at.above(9, 1) >= 1.5, at.above(20, 1) >= 3.0)
    today = _all(at.thrust() >= 0.5, at.gap() >= 0.25, at.place() >= 0.3, at.up_day())
    return _all(at.higher_highs(2), run, before, today, at.above(9) >= 2.0, at.above(50) >= 4.0, at.traded(SETTLED))


def d3_uptrend(at: Measured) -> Flags:
    before = _all(at.thrust(1) >= 0.3, at.place(1) >= 0.5, at.up_day(1), at.above(9, 1) >= 2.0, at.above(20, 1) >= 3.0)
    today = _all(at.thrust() >= 0.5, at.gap() >= -0.2, at.place() >= 0.5, at.above(9) >= 2.0, at.above(20) >= 3.0)
    return _all(at.higher_highs(2), before, today, at.above(200) >= 7.0, at.traded(SETTLED))


def d3(at: Measured) -> Flags:
    before = _all(at.thrust(1) >= 1.0, at.place(1) >= 0.5, at.up_day(1), at.above(9, 1) >= 1.0, at.above(20, 1) >= 2.0)
    today = _all(at.thrust() >= 1.0, at.place() >= 0.5, at.above(9) >= 1.0, at.above(20) >= 2.0)
    return _all(at.higher_highs(2), before, today, at.traded(SETTLED))


def d2_uptrend(at: Measured) -> Flags:
    today = _all(at.thrust() >= 0.75, at.place() >= 0.7, at.up_day(), at.above(9) >= 1.5, at.above(20) >= 3.0)
    high = (at.window.high() - at.lowest(20)) / at.atr() >= 5.0
    return _all(today, high, at.window.high() >= at.highest(20), at.traded(SETTLED))


def d2(at: Measured) -> Flags:
    return _all(at.thrust() >= 1.5, at.place() >= 0.5, at.up_day(), at.traded(SETTLED))


def fbo(at: Measured) -> Flags:
    """The first return, within one ATR, to the highest high of 50 bars as it stood four bars ago."""
    high, level = at.window.high(), at.highest(50, 4)
    thrust = (at.thrust() >= 0.5) | ((high - at.window.close(1)) / at.atr() >= 0.5)
    far = ((high - at.lowest(20)) / at.atr() >= 4.0) | ((high - at.lowest(5)) / at.atr() >= 2.0)
    first = _all(*(at.window.high(lag) < level for lag in (1, 2, 3)), level >= at.highest(100, 4))
    order = at.stacked & (at.window.measure("ema50") >= at.window.measure("ema200"))
    today = _all(thrust, at.higher_highs(1), at.place() >= 0.3, at.up_day(), at.traded(SETTLED))
    return _all(today, far, np.abs(high - level) <= at.atr(), first, order)


FLAGS: dict[str, tuple[Callable[[Measured], Flags], str]] = {
    "lc_frontside_d3_extended_1": (frontside_d3_extended_1, "third day of a run, by price tier"),
    "lc_frontside_d2_extended": (frontside_d2_extended, "second day of a run, by price tier, its low above EMA9"),
    "lc_frontside_d2_extended_1": (frontside_d2_extended_1, "second day of a run, by a higher price tier"),
    "lc_frontside_d3_extended_1_older": (
        lambda at: d3_extended_1(at) & at.front,
        "d3_extended_1 of the older scan, front side",
    ),
    "lc_backside_d3_extended_1": (lambda at: d3_extended_1(at) & at.back, "the same, not the front side"),
    "lc_frontside_d3_extended_2": (lambda at: d3_extended_2(at) & at.front, "d3_extended_2, front side"),
    "lc_backside_d3_extended_2": (lambda at: d3_extended_2(at) & at.back, "the same, not the front side"),
    "lc_frontside_d4_para": (lambda at: d4_para(at) & at.front, "fourth day of a parabola, front side"),
    "lc_backside_d4_para": (lambda at: d4_para(at) & at.back, "the same, not the front side"),
    "lc_frontside_d3_uptrend": (lambda at: d3_uptrend(at) & at.front, "third day, seven ATR above EMA200"),
    "lc_backside_d3": (lambda at: d3(at) & at.back, "two strong days, not the front side"),
    "lc_frontside_d2_uptrend": (lambda at: d2_uptrend(at) & at.front, "strong day, five ATR above the low of 20 bars"),
    "lc_frontside_d2": (lambda at: d2(at) & at.front, "one strong day, front side"),
    "lc_backside_d2": (
        lambda at: d2(at) & at.back & (at.window.high() >= at.highest(5)),
        "one strong day at a high of five bars, not the front side",
    ),
    "lc_fbo": (fbo, "first return to the high of 50 bars"),
}
"""Name -> condition and words. Two scans, two years apart, had one name for two conditions: hence `_older`."""


def find(name: str, window: Window) -> Signs:
    """Return 1 where the flag holds."""
    at, columns = traded(window)
    result = np.zeros((window.rows, window.bars.width), np.int16)
    if len(columns):
        result[:, columns] = FLAGS[name][0](at)
    return result


def traded(window: Window) -> tuple[Measured, NDArray[np.intp]]:
    """Return the tickers that trade enough on any of the rows, and which columns they are; no other can fire."""
    if "lc" not in window.parts:
        columns = np.flatnonzero(_heavy(window, window.limits.min_dollar_volume).any(axis=0))
        window.parts["lc"] = Measured(window.columns(columns)), columns
    at, columns = window.parts["lc"]
    return at, columns


def _heavy(window: Window, min_dollars: float) -> Flags:
    return (window.volume() >= window.limits.min_volume) & (window.close() * window.volume() >= min_dollars)


def _to_extended(window: Window, days: int) -> Floats:
    """Return how far the high of 20 bars is for a ticker whose newest bar leaves the run open."""
    run = np.ones((window.rows, window.bars.width), bool)
    if days == 3:
        run = _heavy(window, BEFORE_DOLLARS) & (window.high() >= window.high(1)) & (window.low() >= window.low(1))
        run &= window.close() >= window.open()
    return in_atr(window, window.measure("highest20") - window.close(), run)


def _pattern(name: str) -> Pattern:
    days = {"lc_frontside_d3_extended_1": 3, "lc_frontside_d2_extended": 2, "lc_frontside_d2_extended_1": 2}.get(name)
    return Pattern(
        name=name,
        doc=FLAGS[name][1],
        fire=lambda window: find(name, window),
        distance=None if days is None else lambda window: _to_extended(window, days),
        stop_bar=0,
        graded=True,
    )


PATTERNS = tuple(_pattern(name) for name in FLAGS)
