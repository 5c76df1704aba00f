"""Patterns of averages, yearly levels, volatility and volume. What they measure is computed elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from screener.measures import kernels
from screener.patterns.pattern import NEVER, Pattern, buys, either, in_atr, sells
from screener.patterns.window import FEW_ROWS, Flags, Floats, Signs, Window

YEAR = 252
MONTH = 21
NEAR = 0.97
SURGE = 2.0
"""Times the mean volume of the 20 bars before."""
LINE_BARS = 20
"""Of the line whose end is the direction of a squeeze."""


def crosses(window: Window, fast: str, slow: str) -> Signs:
    """Return +1 where `fast` comes to lie above `slow`, -1 where it comes to lie below."""
    now, before = window.measure(fast), window.measure(fast, 1)
    slow_now, slow_before = window.measure(slow), window.measure(slow, 1)
    return buys((now > slow_now) & (before <= slow_before)) + sells((now < slow_now) & (before >= slow_before))


def crossing_price(window: Window) -> Floats:
    """Return the next close at which SMA50 equals SMA200: exact, both windows move by one bar."""
    kept50 = (window.measure("sma50") * 50.0 - window.far_back("close", 49)) / 50.0
    kept200 = (window.measure("sma200") * 200.0 - window.far_back("close", 199)) / 200.0
    return (kept200 - kept50) / (1.0 / 50.0 - 1.0 / 200.0)


def minervini(window: Window) -> Flags:
    """Minervini's trend template (Trade Like a Stock Market Wizard, 2013): eight conditions."""
    close, sma200 = window.close(), window.measure("sma200")
    averages = (window.measure("sma150") > sma200) & (window.measure("sma50") > window.measure("sma150"))
    prices = (close > window.measure("sma50")) & (close > window.measure("sma150"))
    # SMA200 now and a month ago share all but these bars.
    rising = _sum(window, range(MONTH)) > _sum(window, range(200, 200 + MONTH))
    levels = (close >= 1.3 * window.measure(f"lowest{YEAR}")) & (close >= 0.75 * window.measure(f"highest{YEAR}"))
    return averages & prices & rising & levels & (window.measure("rs_rating") >= 70.0)


def _sum(window: Window, lags: range) -> Floats:
    total = window.far_back("close", lags[0])
    for lag in lags[1:]:
        total = total + window.far_back("close", lag)
    return total


def _to_minervini(window: Window) -> Floats:
    """The farthest of its price conditions; averages hardly move in a day."""
    close, sma50, sma150 = window.close(), window.measure("sma50"), window.measure("sma150")
    gaps = (
        sma50 - close,
        sma150 - sma50,
        window.measure("sma200") - sma150,
        1.3 * window.measure(f"lowest{YEAR}") - close,
        0.75 * window.measure(f"highest{YEAR}") - close,
    )
    rank = np.maximum(70.0 - window.measure("rs_rating"), 0.0) / 10.0
    distance = in_atr(window, np.maximum.reduce(gaps)) + rank
    return np.where(np.isnan(distance), NEVER, distance)


def _squeeze_fired(window: Window) -> Signs:
    signs = buys((window.measure("squeeze_on", 1) == 1.0) & (window.measure("squeeze_on") == 0.0))
    rows, columns = np.nonzero(signs)
    falling = _squeeze_momentum(window, rows, columns) < 0.0
    signs[rows[falling], columns[falling]] = -1
    return signs


def _squeeze_momentum(window: Window, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """Return the measure of that name on these places alone; over years they are few, and a line is dear."""
    if window.rows <= FEW_ROWS:
        return window.measure("squeeze_momentum")[rows, columns]
    middle = (window.measure("highest20") + window.measure("lowest20")) / 2
    distance = window.close() - (middle + window.measure("sma20")) / 2
    source = rows - np.arange(LINE_BARS - 1, -1, -1)[:, None]
    held = np.where(source >= 0, distance[np.maximum(source, 0), columns], np.nan)
    return np.asarray(kernels.line_end(held, LINE_BARS, 1)[0])


def _to_squeeze_fired(window: Window) -> Floats:
    """How far the Bollinger bands lie within the Keltner channel."""
    room = 1.5 * window.measure("atr20") - (window.measure("bb_upper") - window.measure("bb_middle"))
    return in_atr(window, room, window.measure("squeeze_on") == 1.0)


def _volume_surge(window: Window) -> Signs:
    return either(window.measure("rvol20") >= SURGE, down=window.close() < window.close(1))


PATTERNS = (
    Pattern(
        name="week_52_high_breakout",
        doc="close above the highest high of the 252 bars before",
        fire=lambda window: buys(window.measure("new_high_52w") == 1.0),
        distance=lambda window: in_atr(window, window.measure(f"highest{YEAR}") - window.close()),
    ),
    Pattern(
        name="week_52_low_breakdown",
        doc="close below the lowest low of the 252 bars before",
        fire=lambda window: sells(window.measure("new_low_52w") == 1.0),
        distance=lambda window: in_atr(window, window.close() - window.measure(f"lowest{YEAR}")),
    ),
    Pattern(
        name="near_week_52_high",
        doc="close within 3 % below the highest high of the 252 bars before",
        fire=lambda window: buys(window.measure("near_high_52w") == 1.0),
        distance=lambda window: in_atr(window, NEAR * window.measure(f"highest{YEAR}") - window.close()),
    ),
    Pattern(
        name="golden_cross",
        doc="SMA50 comes to lie above SMA200",
        fire=lambda window: np.maximum(crosses(window, "sma50", "sma200"), np.int16(0)),
        distance=lambda window: in_atr(
            window, crossing_price(window) - window.close(), window.measure("sma50") <= window.measure("sma200")
        ),
    ),
    Pattern(
        name="death_cross",
        doc="SMA50 comes to lie below SMA200",
        fire=lambda window: np.minimum(crosses(window, "sma50", "sma200"), np.int16(0)),
        distance=lambda window: in_atr(
            window, window.close() - crossing_price(window), window.measure("sma50") >= window.measure("sma200")
        ),
    ),
    Pattern(
        name="squeeze_fired",
        doc="the Bollinger bands leave the Keltner channel; in the direction of the momentum",
        fire=_squeeze_fired,
        distance=_to_squeeze_fired,
    ),
    Pattern(
        name="volume_surge",
        doc="volume at least twice the mean of the 20 bars before; in the direction of the day",
        fire=_volume_surge,
    ),
    Pattern(
        name="minervini",
        doc="Minervini's trend template: close > SMA50 > SMA150 > SMA200 rising for a month, 30 % above the 52-week "
        "low, within 25 % of the high, RS rating at least 70",
        fire=lambda window: buys(minervini(window)),
        distance=_to_minervini,
        ranked=("rs_rating",),
    ),
)
