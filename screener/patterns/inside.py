"""Inside bars, outside bars, narrow ranges, and the breaks of them. Compares completed bars with the one after them.

The break is against the completed bar: mother bar two bars ago, inside bar one bar ago, and now a close beyond it. (A
bar can never close beyond its own high: the rule that asks for that finds nothing.)
Sources: Crabel, Day Trading with Short Term Price Patterns (1990), for NR4, NR7, ID/NR7; inside and outside are strict.
"""

from __future__ import annotations

import numpy as np

from screener.patterns.pattern import Pattern, buys, either, in_atr, sells, with_trend
from screener.patterns.window import Flags, Floats, Signs, Window

ABOVE = 1.001
"""A break is 0.1 % beyond the level."""
BELOW = 0.999


def inside(window: Window, lag: int = 0) -> Flags:
    """Return where the bar lies strictly within the one before."""
    within = window.high(lag) < window.high(lag + 1)
    return within & (window.low(lag) > window.low(lag + 1))


def outside(window: Window, lag: int = 0) -> Flags:
    """Return where the bar goes beyond both ends of the one before."""
    beyond = window.high(lag) > window.high(lag + 1)
    return beyond & (window.low(lag) < window.low(lag + 1))


def narrowest(window: Window, of: int) -> Flags:
    """Return where the range is at most each of the ranges of the bars before, `of` bars in all."""
    return window.high() - window.low() <= _least_range(window, range(1, of))


def breaks_up(window: Window, setup: Flags, level_lag: int) -> Signs:
    return buys(setup & (window.close() > window.high(level_lag) * ABOVE))


def breaks_down(window: Window, setup: Flags, level_lag: int) -> Signs:
    return sells(setup & (window.close() < window.low(level_lag) * BELOW))


def to_break_up(window: Window, setup: Flags, level_lag: int = 0) -> Floats:
    """Return the distance to a break up of the bar that is now complete."""
    return in_atr(window, window.high(level_lag) * ABOVE - window.close(), setup)


def to_break_down(window: Window, setup: Flags, level_lag: int = 0) -> Floats:
    return in_atr(window, window.close() - window.low(level_lag) * BELOW, setup)


def _least_range(window: Window, lags: range) -> Floats:
    spans = window.block("high") - window.block("low")
    least = window.cut(spans, lags[0])
    for lag in lags[1:]:
        least = np.minimum(least, window.cut(spans, lag))
    return least


def _narrow(of: int) -> Pattern:
    return Pattern(
        name=f"nr{of}",
        doc=f"range not above that of any of the {of - 1} bars before; with the trend, at a stop order beyond it",
        fire=lambda window: with_trend(window, narrowest(window, of)),
        entry="break",
        stop_bar=0,
    )


PATTERNS = (
    Pattern(
        name="inside_bar",
        doc="high below and low above those of the bar before; with the trend, at a stop order beyond it",
        fire=lambda window: with_trend(window, inside(window)),
        entry="break",
        stop_bar=0,
    ),
    Pattern(
        name="inside_bar_bullish_breakout",
        doc="close 0.1 % above the high of the inside bar before it",
        fire=lambda window: breaks_up(window, inside(window, 1), 1),
        distance=lambda window: to_break_up(window, inside(window)),
        base=110,
        stop_bar=1,
    ),
    Pattern(
        name="inside_bar_bearish_breakdown",
        doc="close 0.1 % below the low of the inside bar before it",
        fire=lambda window: breaks_down(window, inside(window, 1), 1),
        distance=lambda window: to_break_down(window, inside(window)),
        base=110,
        stop_bar=1,
    ),
    Pattern(
        name="mother_bar_bullish_breakout",
        doc="close 0.1 % above the high of the bar that holds the inside bar before it: the stricter level",
        fire=lambda window: breaks_up(window, inside(window, 1), 2),
        distance=lambda window: to_break_up(window, inside(window), 1),
        base=110,
        stop_bar=1,
    ),
    Pattern(
        name="mother_bar_bearish_breakdown",
        doc="close 0.1 % below the low of the bar that holds the inside bar before it",
        fire=lambda window: breaks_down(window, inside(window, 1), 2),
        distance=lambda window: to_break_down(window, inside(window), 1),
        base=110,
        stop_bar=1,
    ),
    Pattern(
        name="outside_bar",
        doc="high above and low below those of the bar before; in the direction of its close",
        fire=lambda window: either(outside(window), down=window.close() < window.open()),
        stop_bar=0,
    ),
    Pattern(
        name="outside_bar_bullish",
        doc="close 0.1 % above the high of the outside bar before it",
        fire=lambda window: breaks_up(window, outside(window, 1), 1),
        distance=lambda window: to_break_up(window, outside(window)),
        base=115,
        stop_bar=1,
    ),
    Pattern(
        name="outside_bar_bearish",
        doc="close 0.1 % below the low of the outside bar before it",
        fire=lambda window: breaks_down(window, outside(window, 1), 1),
        distance=lambda window: to_break_down(window, outside(window)),
        base=115,
        stop_bar=1,
    ),
    _narrow(4),
    _narrow(7),
    Pattern(
        name="id_nr7",
        doc="an inside bar that is also nr7",
        fire=lambda window: with_trend(window, inside(window) & narrowest(window, 7)),
        entry="break",
        stop_bar=0,
    ),
)
