"""The technical rating: 26 votes of averages and oscillators, as 0-100. Source: TradingView, help page 43000614331.

Each vote is +1 buy, 0 neutral, -1 sell, NaN where its measure has too few bars. A group is the mean of the votes that
are known, the rating 50 (1 + mean of the two groups): above 75 strong buy, above 55 buy, 45-55 neutral, and mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import Floats
from screener.measures import averages, momentum, trend
from screener.measures.panel import Panel, cached

LENGTHS = (10, 20, 30, 50, 100, 200)
TREND = 50  # the EMA that two of the oscillators ask for the trend
SAME = 1e-9
Yes = NDArray[np.bool_]


def _vote(buy: Yes, sell: Yes, *needed: Floats) -> Floats:
    known = ~np.isnan(np.sum(needed, axis=0))
    return np.where(known, buy.astype(np.float64) - sell, np.nan)


def _mean_vote(votes: list[Floats]) -> Floats:
    stacked = np.array(votes)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.asarray(momentum.ratio(total, count.astype(np.float64)))


@cached
def of_averages(panel: Panel, rows: int) -> Floats:
    """-1 to 1: the close above or below each of fifteen averages."""
    close = panel.lag("close", 0, rows)
    lines = [averages.sma(panel, length, rows) for length in LENGTHS]
    lines += [averages.ema(panel, length, rows) for length in LENGTHS]
    lines += [averages.hull(panel, 9, rows), averages.volume_weighted(panel, 20, rows)]
    return _mean_vote([*(_beside(close, line) for line in lines), _cloud(panel, rows)])


def _beside(close: Floats, line: Floats) -> Floats:
    """Above or below; an average of equal prices is off them by a rounding, which is no vote."""
    same = close * SAME
    return _vote(close > line + same, close < line - same, line)


def _cloud(panel: Panel, rows: int) -> Floats:
    """Ichimoku 9/26/52: the close above or below both borders of the cloud that was drawn 26 bars ahead."""
    needed = rows + 26

    def middle(length: int) -> Floats:
        both = averages.highest(panel, length, needed) + averages.lowest(panel, length, needed)
        return both[:rows] / 2

    first, second = (middle(9) + middle(26)) / 2, middle(52)
    close = panel.lag("close", 0, rows)
    above, below = close > np.maximum(first, second), close < np.minimum(first, second)
    return _vote(above, below, first, second, close)


@cached
def of_oscillators(panel: Panel, rows: int) -> Floats:
    """-1 to 1: eleven oscillators, each for what it says at its extremes or as it turns."""
    return _mean_vote(
        [
            _extremes(momentum.rsi(panel, 14, rows + 1), 30, 70),
            _extremes(momentum.cci(panel, 20, rows + 1), -100, 100),
            _extremes(momentum.williams(panel, 14, rows + 1), -80, -20),
            _crossing(momentum.stochastic_k(panel, rows + 1), momentum.stochastic_d(panel, rows + 1)),
            _directional(panel, rows),
            _awesome(momentum.awesome(panel, rows + 2)),
            _rising(momentum.momentum(panel, 10, rows + 1)),
            _above(momentum.macd(panel, rows), momentum.macd_signal(panel, rows)),
            _stochastic_rsi(panel, rows),
            _power(panel, rows),
            _ultimate(momentum.ultimate(panel, rows)),
        ]
    )


def _extremes(values: Floats, low: float, high: float) -> Floats:
    """Buy: below `low` and rising again; sell: above `high` and falling."""
    now, before = values[1:], values[:-1]
    moved = np.abs(now - before) > momentum.STILL
    return _vote((now < low) & (now > before) & moved, (now > high) & (now < before) & moved, now, before)


def _rising(values: Floats) -> Floats:
    return _vote(values[1:] > values[:-1], values[1:] < values[:-1], values[1:], values[:-1])


def _above(line: Floats, signal: Floats) -> Floats:
    return _vote(line > signal, line < signal, line, signal)


def _crosses(a: Floats, b: Floats) -> tuple[Yes, Yes]:
    """(a crosses above b, a crosses below b), for all rows but the first."""
    return (a[1:] > b[1:]) & (a[:-1] <= b[:-1]), (a[1:] < b[1:]) & (a[:-1] >= b[:-1])


def _crossing(k: Floats, d: Floats) -> Floats:
    """Buy: both below 20 and K crosses above D; sell: both above 80 and K crosses below."""
    up, down = _crosses(k, d)
    top, bottom = np.minimum(k, d)[1:], np.maximum(k, d)[1:]
    return _vote((bottom < 20) & up, (top > 80) & down, k[1:], d[1:], k[:-1], d[:-1])


def _directional(panel: Panel, rows: int) -> Floats:
    plus, minus = trend.plus_di(panel, 14, rows + 1), trend.minus_di(panel, 14, rows + 1)
    up, down = _crosses(plus, minus)
    strength = trend.adx(panel, 14, rows)
    return _vote((strength > 20) & up, (strength > 20) & down, strength, plus[:-1], minus[:-1])


def _awesome(values: Floats) -> Floats:
    """Buy: crosses above 0, or above it turns up again (a saucer); sell: mirrored."""
    now, one, two = values[2:], values[1:-1], values[:-2]
    up = ((now > 0) & (one <= 0)) | ((now > 0) & (one > 0) & (now > one) & (two > one))
    down = ((now < 0) & (one >= 0)) | ((now < 0) & (one < 0) & (now < one) & (two < one))
    return _vote(up, down, now, one, two)


def _stochastic_rsi(panel: Panel, rows: int) -> Floats:
    """As the stochastic, but to buy only in a downward trend, to sell in an upward one."""
    k, d = momentum.stochastic_rsi(panel, rows + 1)
    vote, line = _crossing(k, d), averages.ema(panel, TREND, rows)
    close = panel.lag("close", 0, rows)
    return np.where(np.isnan(vote + line), np.nan, np.where(vote > 0, vote * (close < line), vote * (close > line)))


def _power(panel: Panel, rows: int) -> Floats:
    """Elder's bull and bear power, EMA13: buy where the bears weaken in an upward trend; sell mirrored."""
    middle, line = averages.ema(panel, 13, rows + 1), averages.ema(panel, TREND, rows)
    bull, bear = panel.lag("high", 0, rows + 1) - middle, panel.lag("low", 0, rows + 1) - middle
    close = panel.lag("close", 0, rows)
    buy = (close > line) & (bear[1:] < 0) & (bear[1:] > bear[:-1])
    sell = (close < line) & (bull[1:] > 0) & (bull[1:] < bull[:-1])
    return _vote(buy, sell, line, bull[:-1], bull[1:])


def _ultimate(values: Floats) -> Floats:
    return _vote(values > 70, values < 30, values)


def technical_rating(panel: Panel, rows: int) -> Floats:
    """0-100; NaN where neither group has a vote."""
    return 50 * (1 + _mean_vote([of_averages(panel, rows), of_oscillators(panel, rows)]))
