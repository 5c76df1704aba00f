"""Bars for the scan engine's tests: random walks that look like a market's, and bars written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from screener.cube.bars import Bars, History, align, day_number

FIRST_DAY = day_number(date(2025, 1, 2))


def walk(counts: Sequence[int], *, seed: int = 1, newest_day: int = FIRST_DAY + 400) -> list[History]:
    """One ticker T0, T1 ... for each count of bars, on consecutive days that end at `newest_day`."""
    rng = np.random.default_rng(seed)
    found = []
    for number, count in enumerate(counts):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, count)))
        first = close * (1 + rng.normal(0, 0.01, count))
        high = np.maximum(first, close) * (1 + np.abs(rng.normal(0, 0.008, count)))
        low = np.minimum(first, close) * (1 - np.abs(rng.normal(0, 0.008, count)))
        volume = np.floor(rng.lognormal(13, 1, count))
        days = np.arange(newest_day - count + 1, newest_day + 1, dtype=np.int32)
        sides = [side.astype(np.float32) for side in (first, high, low, close)]
        found.append(History(f"T{number}", days, sides[0], sides[1], sides[2], sides[3], volume))
    return found


def walked(*counts: int, seed: int = 1, rows: int | None = None) -> Bars:
    return align(walk(counts, seed=seed), rows=rows)


def by_hand(*bars: tuple[float, float, float, float], volume: float = 1000.0, ticker: str = "A") -> Bars:
    """One ticker with these (open, high, low, close)."""
    sides = np.array(bars, np.float64).reshape(-1, 4).T
    days = np.arange(FIRST_DAY, FIRST_DAY + len(bars), dtype=np.int32)
    return align([History(ticker, days, sides[0], sides[1], sides[2], sides[3], np.full(len(bars), volume))])


def closes(*values: float, volume: float = 1000.0) -> Bars:
    """One ticker whose bars are flat, at these closes."""
    return by_hand(*((value, value, value, value) for value in values), volume=volume)
