"""Changes, gaps, ranges of a year, volume against its mean. Knows one ticker's own bars alone."""

from __future__ import annotations

import numpy as np

from screener.cube.bars import Floats
from screener.measures import kernels
from screener.measures.averages import highest, lowest
from screener.measures.momentum import ratio
from screener.measures.panel import Panel, cached
from screener.measures.trend import atr

YEAR = 252  # bars
NEAR_PERCENT = 3.0  # "approaching" a 52-week level


def yes_or_no(condition: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], *needed: Floats) -> Floats:
    """1 or 0; NaN where a value that decides is not known."""
    known = ~np.isnan(np.sum(needed, axis=0))
    return np.where(known, condition, np.nan)


def gap_percent(panel: Panel, rows: int) -> Floats:
    """Open against the close before."""
    return 100 * (panel.lag("open", 0, rows) / panel.lag("close", 1, rows) - 1)


def gap_atr(panel: Panel, rows: int) -> Floats:
    """The gap in units of the average true range as it was before it."""
    return ratio(panel.lag("open", 0, rows) - panel.lag("close", 1, rows), atr(panel, 14, rows + 1)[:-1])


@cached
def prior_highest(panel: Panel, length: int, rows: int) -> Floats:
    """The highest high of the `length` bars before the newest."""
    return highest(panel, length, rows + 1)[:-1]


@cached
def prior_lowest(panel: Panel, length: int, rows: int) -> Floats:
    return lowest(panel, length, rows + 1)[:-1]


def from_high(panel: Panel, rows: int) -> Floats:
    """Percent of the close below the highest high of 252 bars: 0 or less."""
    return 100 * (panel.lag("close", 0, rows) / highest(panel, YEAR, rows) - 1)


def from_low(panel: Panel, rows: int) -> Floats:
    return 100 * (panel.lag("close", 0, rows) / lowest(panel, YEAR, rows) - 1)


def new_high(panel: Panel, rows: int) -> Floats:
    """1 where the close is above every high of the 252 bars before."""
    close, level = panel.lag("close", 0, rows), prior_highest(panel, YEAR, rows)
    return yes_or_no(close > level, close, level)


def new_low(panel: Panel, rows: int) -> Floats:
    close, level = panel.lag("close", 0, rows), prior_lowest(panel, YEAR, rows)
    return yes_or_no(close < level, close, level)


def near_high(panel: Panel, rows: int) -> Floats:
    """1 where the close is within 3 % below the highest high of the 252 bars before."""
    close, level = panel.lag("close", 0, rows), prior_highest(panel, YEAR, rows)
    return yes_or_no((close <= level) & (close >= level * (1 - NEAR_PERCENT / 100)), close, level)


def dollar_volume(panel: Panel, rows: int) -> Floats:
    return panel.lag("close", 0, rows) * panel.lag("volume", 0, rows)


@cached
def mean_volume(panel: Panel, length: int, rows: int) -> Floats:
    return kernels.window_mean(panel.lag("volume", 0, rows + length - 1), length, rows)


def mean_dollar_volume(panel: Panel, length: int, rows: int) -> Floats:
    return kernels.window_mean(dollar_volume(panel, rows + length - 1), length, rows)


@cached
def relative_volume(panel: Panel, length: int, rows: int) -> Floats:
    """RVOL: volume against the mean of the `length` bars before it; NaN if none of them traded."""
    return ratio(panel.lag("volume", 0, rows), mean_volume(panel, length, rows + 1)[:-1])


@cached
def relative_strength(panel: Panel, rows: int) -> Floats:
    """0.4 P63 + 0.2 P126 + 0.2 P189 + 0.2 P252 in percent, P the change over so many bars: RS rating ranks it."""
    close = panel.lag("close", 0, rows)
    total = sum(
        weight * (close / panel.lag("close", bars, rows) - 1)
        for bars, weight in ((63, 0.4), (126, 0.2), (189, 0.2), (252, 0.2))
    )
    return np.asarray(100 * total)


def momentum_12_1(panel: Panel, rows: int) -> Floats:
    """Percent over the eleven months that end a month ago: the last month tends to turn back."""
    return 100 * (panel.lag("close", 21, rows) / panel.lag("close", YEAR, rows) - 1)


def streak(panel: Panel, rows: int) -> Floats:
    """Closes in a row that rose (positive) or fell (negative), at most 10."""
    most = 10
    steps = np.sign(panel.lag("close", 0, rows + most) - panel.lag("close", 1, rows + most))
    newest = steps[-rows:]
    length, going = np.ones_like(newest), newest != 0
    for lag in range(1, most):
        going = going & (steps[most - lag : most - lag + rows] == newest)
        length += going
    return np.where(np.isnan(newest), np.nan, np.where(newest == 0, 0.0, newest * length))
