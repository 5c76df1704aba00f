"""Moving averages, bands around them, and the squeeze. Arrays in, arrays out; as TA-Lib where it has them."""

from __future__ import annotations

import numpy as np

from screener.cube.bars import Floats
from screener.measures import kernels, rolling
from screener.measures.panel import Panel, cached, looked_back
from screener.measures.trend import atr_simple

BANDS = 2.0  # standard deviations, of the population
CHANNEL = 1.5  # times the average true range; Carter's TTM squeeze
HALVES_OF_YEAR = 126  # bars in half a year


@cached
def sma(panel: Panel, length: int, rows: int) -> Floats:
    return kernels.window_mean(panel.kept("close", rows + length - 1), length, rows)


@looked_back
def ema(panel: Panel, length: int, rows: int) -> Floats:
    """Seeded with the plain mean of the first `length` closes, alpha 2 / (length + 1)."""
    values = panel.filled_close
    return rolling.smooth(values, panel.starts, rows, alpha=2 / (length + 1), seed=length)


@cached
def hull(panel: Panel, length: int, rows: int) -> Floats:
    """Hull's average: a weighted mean over sqrt(length) bars of 2 WMA(length / 2) - WMA(length)."""
    last = round(length**0.5)
    needed = rows + last - 1
    closes = panel.lag("close", 0, needed + length - 1)
    short = kernels.weighted_mean(closes, length // 2, needed)
    return kernels.weighted_mean(2 * short - kernels.weighted_mean(closes, length, needed), last, rows)


@cached
def volume_weighted(panel: Panel, length: int, rows: int) -> Floats:
    """VWMA: closes weighted with their volumes."""
    needed = rows + length - 1
    volume = panel.lag("volume", 0, needed)
    total = kernels.window_sum(panel.lag("close", 0, needed) * volume, length, rows)
    return total / _not_zero(kernels.window_sum(volume, length, rows))


@cached
def vwap(panel: Panel, length: int, rows: int) -> Floats:
    """The typical price (H + L + C) / 3 of `length` days by volume: daily bars know no session's VWAP."""
    needed = rows + length - 1
    volume = panel.lag("volume", 0, needed)
    total = kernels.window_sum(typical(panel, needed) * volume, length, rows)
    return total / _not_zero(kernels.window_sum(volume, length, rows))


def typical(panel: Panel, rows: int) -> Floats:
    return (panel.lag("high", 0, rows) + panel.lag("low", 0, rows) + panel.lag("close", 0, rows)) / 3


def _not_zero(values: Floats) -> Floats:
    """A division by what cannot divide gives NaN, never an infinity."""
    return np.where(values == 0, np.nan, values)


@cached
def deviation(panel: Panel, length: int, rows: int) -> Floats:
    return kernels.window_deviation(panel.lag("close", 0, rows + length - 1), length, rows)


def band_upper(panel: Panel, rows: int) -> Floats:
    return sma(panel, 20, rows) + BANDS * deviation(panel, 20, rows)


def band_lower(panel: Panel, rows: int) -> Floats:
    return sma(panel, 20, rows) - BANDS * deviation(panel, 20, rows)


@cached
def band_width(panel: Panel, rows: int) -> Floats:
    """The distance of the bands in percent of their middle."""
    return 100 * 2 * BANDS * deviation(panel, 20, rows) / sma(panel, 20, rows)


def band_place(panel: Panel, rows: int) -> Floats:
    """Where the close stands between the bands: 0 at the lower, 1 at the upper, NaN where they are one line."""
    apart = 2 * BANDS * deviation(panel, 20, rows)
    return (panel.lag("close", 0, rows) - band_lower(panel, rows)) / _not_zero(apart)


def keltner_upper(panel: Panel, rows: int) -> Floats:
    return sma(panel, 20, rows) + CHANNEL * atr_simple(panel, 20, rows)


def keltner_lower(panel: Panel, rows: int) -> Floats:
    return sma(panel, 20, rows) - CHANNEL * atr_simple(panel, 20, rows)


@cached
def squeeze_on(panel: Panel, rows: int) -> Floats:
    """1 where both Bollinger bands lie inside the Keltner channel of the same middle (ATR20: plain mean), else 0."""
    bands, channel = BANDS * deviation(panel, 20, rows), CHANNEL * atr_simple(panel, 20, rows)
    return np.where(np.isnan(bands + channel), np.nan, bands < channel)


@cached
def squeeze_momentum(panel: Panel, rows: int) -> Floats:
    """The end of the 20-bar line through close - mean(middle of the 20-day range, SMA20): its sign is the direction."""
    needed = rows + 19
    middle = (highest(panel, 20, needed) + lowest(panel, 20, needed)) / 2
    distance = panel.lag("close", 0, needed) - (middle + sma(panel, 20, needed)) / 2
    return kernels.line_end(distance, 20, rows)


def width_squeeze(panel: Panel, rows: int) -> Floats:
    """1 where the bands are as narrow as never in 126 bars."""
    width = band_width(panel, rows + HALVES_OF_YEAR - 1)
    narrowest = kernels.window_min(width, HALVES_OF_YEAR, rows)
    return np.where(np.isnan(narrowest), np.nan, width[-rows:] <= narrowest)


@cached
def highest(panel: Panel, length: int, rows: int) -> Floats:
    """The highest high of `length` bars, the newest among them."""
    return kernels.window_max(panel.kept("high", rows + length - 1), length, rows)


@cached
def lowest(panel: Panel, length: int, rows: int) -> Floats:
    return kernels.window_min(panel.kept("low", rows + length - 1), length, rows)
