"""The parabolic score: 0-100 for how far and how fast a stock has run by the bar before. Fires nothing.

Five parts: thrust of the day (20), distance from EMA9 (30), days in a row that grow (20), volume (10), gaps (20).
"""

from __future__ import annotations

import numpy as np

from screener.patterns.lc import Measured
from screener.patterns.window import Flags, Floats, Window

GRADES = ((90.0, "A+"), (75.0, "A"), (60.0, "B"), (40.0, "C"))
LEAST_GRADE = "D"


def score(at: Measured) -> Floats:
    """Return the score of each row; NaN where the bars before are not known."""
    gap, gap_before = at.gap(1), at.gap(2)
    parts = (
        _steps(at.thrust(1), ((3.0, 20.0), (2.0, 18.0), (1.0, 15.0), (0.5, 12.0))),
        _steps(at.above(9, 1), ((4.0, 30.0), (3.0, 25.0), (2.0, 20.0), (1.0, 15.0))),
        burst(at),
        _steps(_rvol5(at.window), ((2.0, 10.0), (1.5, 8.0), (1.0, 5.0), (0.5, 2.0))),
        _steps(gap, ((0.5, 15.0), (0.3, 10.0), (0.1, 5.0))),
        5.0 * ((gap >= 0.3) & (gap_before >= 0.3)),
    )
    known = ~np.isnan(at.thrust(1)) & ~np.isnan(at.above(9, 1)) & ~np.isnan(gap)
    return np.where(known, np.minimum(sum(parts), 100.0), np.nan)


def burst(at: Measured) -> Floats:
    """Return 10-20: two growing days in a row 15, a growing range 2.5 more, a gap then 2.5 more; one day 10-12.5."""
    days = _grew(at.window, 1).astype(int) + _grew(at.window, 2)
    wider = (_range(at.window, 1) > _range(at.window, 2)) & (at.thrust(2) >= 0.5)
    gapped = at.gap(1) >= 0.3
    two = 15.0 + 2.5 * wider + 2.5 * (wider & gapped)
    one = 10.0 + 2.5 * (wider & gapped)
    return np.select([days >= 2, days == 1], [two, one], default=10.0)


def grade(value: float) -> str:
    """Return A+ from 90, A from 75, B from 60, C from 40, else D."""
    return next((name for least, name in GRADES if value >= least), LEAST_GRADE)


def parabolic_score(window: Window) -> Floats:
    """Return the score of every ticker on every row."""
    return score(Measured(window))


def _grew(window: Window, lag: int) -> Flags:
    """A higher close than the bar before, above its own open, and a higher high."""
    close = window.close(lag)
    higher = (close > window.close(lag + 1)) & (window.high(lag) > window.high(lag + 1))
    return higher & (close > window.open(lag))


def _range(window: Window, lag: int) -> Floats:
    return window.high(lag) - window.low(lag)


def _rvol5(window: Window) -> Floats:
    """Volume of the bar before against the mean of the five that end with it."""
    mean = sum(window.volume(lag) for lag in range(1, 6)) / 5.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return window.volume(1) / mean


def _steps(values: Floats, steps: tuple[tuple[float, float], ...]) -> Floats:
    return np.select([values >= least for least, _ in steps], [points for _, points in steps], default=0.0)
