"""Oscillators. Definitions as TA-Lib's, but a market that stands still has none: NaN where TA-Lib says 0."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from screener.cube.bars import Days, Floats, Prices
from screener.measures import kernels, rolling
from screener.measures.averages import highest, lowest, typical
from screener.measures.kernels import newest
from screener.measures.panel import Changes, Panel, cached, looked_back

MACD_READY = 33  # bars before the first value of the signal line; the line itself is shown from there, as by TA-Lib

LINE_READY = 25  # bars before the first value of the line
WEIGHTED_ROWS = 16
STILL = 1e-9  # of an oscillator of 0-100: what moves by less only rounds differently, its price stands still
ROUNDING = 1e-13  # of a sum of some hundred closes, as a share of one


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole; NaN where whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole == 0, np.nan, part / whole)


def _moves(panel: Panel, fields: Sequence[Prices], out: Floats) -> None:
    """Gains, and moves either way."""
    closes = panel.wide("close", fields[0])
    gains, moves = out[:, 0], out[:, 1]
    np.subtract(closes[1:], closes[:-1], out=moves)
    panel.positive(moves, panel.nothing, out=gains)
    np.abs(moves, out=moves)
    if panel.ragged:
        np.fmax(moves, panel.nothing, out=moves)


@looked_back
def average_moves(panel: Panel, length: int, rows: int) -> Floats:
    """Wilder's averages from close to close, (rows, 2, N): of gains, and of moves either way."""
    return Changes(panel, ["close"], 2, _moves).averages(length, rows)


@looked_back
def rsi(panel: Panel, length: int, rows: int) -> Floats:
    """Wilder's: 100 G / (G + L) of averaged gains and losses; NaN for a price that has never moved."""
    averages = average_moves(panel, length, rows)
    return 100 * ratio(averages[:, 0], averages[:, 1])


def stochastic_rsi(panel: Panel, rows: int) -> tuple[Floats, Floats]:
    """(K, D) of RSI14 in its 14-bar range, smoothed 3 and 3, as TradingView draws them."""
    values = rsi(panel, 14, rows + 17)
    top, bottom = kernels.window_max(values, 14, rows + 4), kernels.window_min(values, 14, rows + 4)
    reach = np.where(top - bottom > STILL, top - bottom, 0.0)
    k = kernels.window_mean(100 * ratio(values[-(rows + 4) :] - bottom, reach), 3, rows + 2)
    return k[-rows:], kernels.window_mean(k, 3, rows)


def macd_averages(panel: Panel, rows: int) -> tuple[Floats, Floats]:
    """EMA12 and EMA26 as the MACD takes them: the faster one starts as late as the slower one."""
    return _fast_and_slow(panel.filled_close, panel.starts, rows)


def _fast_and_slow(closes: Floats, starts: Days, rows: int) -> tuple[Floats, Floats]:
    fast = rolling.smooth(closes, starts, rows, alpha=2 / 13, seed=12, skip=14)
    return fast, rolling.smooth(closes, starts, rows, alpha=2 / 27, seed=26)


def _bar_by_bar(closes: Floats, starts: Days, rows: int) -> Floats:
    """(2, rows, N): the line, valid from bar 25, and its signal. `closes`: 0 where no bar is."""
    fast, slow = _fast_and_slow(closes, starts, len(closes))
    fast -= slow
    line = newest(fast, rows).copy()
    np.copyto(fast, 0.0, where=np.isnan(fast))
    return np.stack([line, rolling.smooth(fast, starts + LINE_READY, rows, alpha=2 / 10, seed=9)])


@lru_cache(maxsize=32)
def _weights(bars: int, rows: int) -> Floats:
    """What each close of a ticker that has all bars counts: line and signal are linear in them, (2 rows, bars)."""
    return _bar_by_bar(np.eye(bars), np.zeros(bars, np.int32), rows).reshape(2 * rows, bars)


@cached
def _macd(panel: Panel, rows: int) -> Floats:
    """(2, rows, N). Of the newest bars of tickers that have all bars in one product, else bar by bar."""
    closes = panel.filled_close
    if rows > WEIGHTED_ROWS or panel.depth <= MACD_READY + rows:
        found = _bar_by_bar(closes, panel.starts, rows)
    else:
        found = (_weights(panel.depth, rows) @ closes).reshape(2, rows, panel.width)
        young = np.flatnonzero(panel.starts)
        if len(young):
            found[:, :, young] = _bar_by_bar(closes[:, young], panel.starts[young], rows)
    found[np.abs(found) <= ROUNDING * newest(closes, rows)] = 0.0  # a price that stands still has none
    return found


@cached
def macd(panel: Panel, rows: int) -> Floats:
    return rolling.without_early(_macd(panel, rows)[0].copy(), panel.starts + MACD_READY, panel.depth)


def macd_signal(panel: Panel, rows: int) -> Floats:
    return np.asarray(_macd(panel, rows)[1])


def macd_histogram(panel: Panel, rows: int) -> Floats:
    return macd(panel, rows) - macd_signal(panel, rows)


@cached
def fast_k(panel: Panel, length: int, rows: int) -> Floats:
    """Where the close stands in the range of `length` bars, 0-100."""
    bottom = lowest(panel, length, rows)
    return 100 * ratio(panel.lag("close", 0, rows) - bottom, highest(panel, length, rows) - bottom)


@cached
def stochastic_k(panel: Panel, rows: int) -> Floats:
    """%K (14), smoothed over 3."""
    return kernels.window_mean(fast_k(panel, 14, rows + 2), 3, rows)


@cached
def stochastic_d(panel: Panel, rows: int) -> Floats:
    return kernels.window_mean(stochastic_k(panel, rows + 2), 3, rows)


@cached
def williams(panel: Panel, length: int, rows: int) -> Floats:
    """%R, -100 to 0."""
    top = highest(panel, length, rows)
    return -100 * ratio(top - panel.lag("close", 0, rows), top - lowest(panel, length, rows))


@cached
def cci(panel: Panel, length: int, rows: int) -> Floats:
    """Lambert's: distance of the typical price from its mean in units of 0.015 mean absolute distances."""
    values = typical(panel, rows + length - 1)
    mean = kernels.window_mean(values, length, rows)
    return ratio(values[-rows:] - mean, 0.015 * kernels.mean_distance(values, length, mean))


@cached
def money_flow(panel: Panel, length: int, rows: int) -> Floats:
    """MFI: of the money (typical price x volume) the share that moved on days of a risen typical price, 0-100."""
    values = typical(panel, rows + length)
    money = values[1:] * panel.lag("volume", 0, rows + length - 1)
    np.copyto(money, np.nan, where=np.isnan(values[:-1]))  # the first bar has none to be compared with
    up = kernels.window_sum(money * (values[1:] > values[:-1]), length, rows)
    down = kernels.window_sum(money * (values[1:] < values[:-1]), length, rows)
    return 100 * ratio(up, up + down)


def momentum(panel: Panel, length: int, rows: int) -> Floats:
    return panel.lag("close", 0, rows) - panel.lag("close", length, rows)


def rate_of_change(panel: Panel, length: int, rows: int) -> Floats:
    """Percent since the close `length` bars before."""
    return 100 * (panel.lag("close", 0, rows) / panel.lag("close", length, rows) - 1)


@cached
def awesome(panel: Panel, rows: int) -> Floats:
    """Williams' awesome oscillator: the mean of the bars' middles over 5 bars less that over 34."""
    needed = rows + 33
    middle = (panel.lag("high", 0, needed) + panel.lag("low", 0, needed)) / 2
    return kernels.window_mean(middle, 5, rows) - kernels.window_mean(middle, 34, rows)


@cached
def ultimate(panel: Panel, rows: int) -> Floats:
    """Williams' ultimate oscillator over 7, 14 and 28 bars, 0-100."""
    needed = rows + 27
    close, before = panel.lag("close", 0, needed), panel.lag("close", 1, needed)
    bottom = np.minimum(panel.lag("low", 0, needed), before)
    reach = np.maximum(panel.lag("high", 0, needed), before) - bottom
    bought = close - bottom
    parts = [
        weight * ratio(kernels.window_sum(bought, length, rows), kernels.window_sum(reach, length, rows))
        for length, weight in ((7, 4), (14, 2), (28, 1))
    ]
    return np.asarray(100 * sum(parts) / 7)
