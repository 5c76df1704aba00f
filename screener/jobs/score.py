"""The four-factor priority score of seed 004: history, activity, fundamentals, technical state. Orders nothing itself.

Each factor is 0-100 and starts at 50; what is not known adds nothing. Only its order counts (screener.jobs.priority).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHTS = {"historical": 0.40, "activity": 0.30, "fundamental": 0.20, "technical": 0.10}
START = 50.0
MEMORY_DAYS = 7.0
MEASURES = ("rvol20", "roc5", "atr_percent14", "rs_rating", "distance_52w_high", "distance_52w_low", "tech_rating")
"""What activity and technical state are read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier scans found, an entry a ticker. `signal_rate`: signals a scan; `rating`: their mean tech_rating;
    `days`: since the newest signal, NaN without one."""

    signal_rate: Floats
    rating: Floats
    days: Floats

    @classmethod
    def empty(cls, tickers: int) -> Past:
        return cls(signal_rate=np.zeros(tickers), rating=np.full(tickers, np.nan), days=np.full(tickers, np.nan))


def score(past: Past, measured: Mapping[str, Floats], facts: Mapping[str, Floats]) -> Floats:
    """Return the weighted score of each ticker, 0-100. `facts`: earnings_surprise_percent, rating_change, sentiment
    (-1 to 1), institutional_flow_percent, as far as they are known."""
    factors = {
        "historical": historical(past),
        "activity": activity(measured),
        "fundamental": fundamental(facts, len(past.days)),
        "technical": technical(measured, len(past.days)),
    }
    found: Floats = np.sum([WEIGHTS[name] * factor for name, factor in factors.items()], axis=0)
    return found


def historical(past: Past) -> Floats:
    recent = past.days < MEMORY_DAYS
    points = START + 30 * past.signal_rate + 0.3 * _or_zero(past.rating)
    points += np.where(recent, 20 * (1 - _or_zero(past.days) / MEMORY_DAYS), 0)
    decay = np.clip(1 - 0.10 * _or_zero(past.days) / MEMORY_DAYS, 0.5, 1.0)
    return _capped(points * decay)


def activity(measured: Mapping[str, Floats]) -> Floats:
    percent_range, week = measured["atr_percent14"], measured["roc5"]
    points = START + _steps(measured["rvol20"], ((2.0, 30), (1.5, 20), (1.2, 10)))
    points = points + np.where(week < -5, 15, _steps(week, ((10, 30), (5, 20), (2, 10))))
    calm, wider = (percent_range >= 2) & (percent_range <= 5), (percent_range >= 1) & (percent_range <= 7)
    points = points + np.where(calm, 20, np.where(wider, 10, 0))
    return _capped(points + _steps(measured["rs_rating"], ((80, 20), (60, 10))))


def fundamental(facts: Mapping[str, Floats], tickers: int) -> Floats:
    points = np.full(tickers, START)
    if "earnings_surprise_percent" in facts:
        points += _steps(facts["earnings_surprise_percent"], ((10, 30), (5, 20), (0, 10)))
    if "rating_change" in facts:
        points += 10 * _or_zero(facts["rating_change"])
    if "sentiment" in facts:
        points += 10 * np.where(np.isnan(facts["sentiment"]), 0, facts["sentiment"] + 1)
    if "institutional_flow_percent" in facts:
        points += _steps(facts["institutional_flow_percent"], ((5, 20), (2, 10)))
    return _capped(points)


def technical(measured: Mapping[str, Floats], tickers: int) -> Floats:
    """Support and resistance are the 52-week extremes; trend and bullish share come from the technical rating."""
    rating = measured["tech_rating"]
    points = np.full(tickers, START)
    points += np.where(np.abs(measured["distance_52w_low"]) < 2, 20, 0)
    points += np.where(np.abs(measured["distance_52w_high"]) > 5, 10, 0)
    points += _or_zero(20 * rating / 100 + 0.2 * np.abs(2 * rating - 100))
    return _capped(points)


def _steps(values: Floats, steps: Sequence[tuple[float, float]]) -> Floats:
    """Return the points of the first step that a value is above, 0 below all and where it is not known."""
    conditions = [values > above for above, _ in steps]
    return np.select(conditions, [points for _, points in steps], 0.0)


def _or_zero(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=0.0)


def _capped(points: Floats) -> Floats:
    return np.clip(points, 0.0, 100.0)
