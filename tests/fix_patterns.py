"""Bars for the tests of patterns: written down by hand, or drawn so coarsely that rare candles turn up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from screener.cube.bars import PRICES, Bars, History, align, day_number

FIRST_DAY = day_number(date(2026, 1, 5))
Bar = tuple[float, ...]
"""Open, high, low, close and, if it matters, volume."""


def bars_of(*tickers: Sequence[Bar]) -> Bars:
    """Return a market of these tickers, A, B, C ..., each with its bars, the oldest first."""
    return align([history(chr(ord("A") + place), rows) for place, rows in enumerate(tickers)])


def history(ticker: str, rows: Sequence[Bar]) -> History:
    table = np.array([(*row, 1000.0)[:5] for row in rows], float).reshape(-1, 5)
    days = np.arange(FIRST_DAY, FIRST_DAY + len(rows), dtype=np.int32)
    opens, highs, lows, closes, volumes = table.T
    return History(ticker, days, opens, highs, lows, closes, volumes)


def flat(count: int, price: float = 100.0, volume: float = 1000.0) -> list[Bar]:
    """Return bars that all reach from one below the price to one above it."""
    return [(price, price + 1.0, price - 1.0, price, volume)] * count


def walks(tickers: int, rows: int, *, seed: int, tick: float, ragged: bool = True) -> Bars:
    """Return random walks in steps of `tick`; with a large one, prices meet often. Every third ticker is younger."""
    rng = np.random.default_rng(seed)
    bodies = rng.choice([-9, -5, -3, -2, -1, 0, 1, 2, 3, 5, 9], (rows, tickers))
    gaps = rng.integers(-4, 5, (rows, tickers))
    closes = 1000 + np.cumsum(bodies + gaps, axis=0)
    opens = closes - bodies
    highs = np.maximum(opens, closes) + rng.choice([0, 0, 1, 3], (rows, tickers))
    lows = np.minimum(opens, closes) - rng.choice([0, 0, 1, 3], (rows, tickers))
    volumes = rng.integers(1, 1_000_000, (rows, tickers))
    histories = []
    for place in range(tickers):
        count = int(rng.integers(3, rows)) if ragged and place % 3 == 0 else rows
        o, h, l, c = (values[-count:, place] * tick for values in (opens, highs, lows, closes))  # noqa: E741
        days = np.arange(FIRST_DAY + rows - count, FIRST_DAY + rows, dtype=np.int32)
        histories.append(History(f"T{place}", days, o, h, l, c, volumes[-count:, place].astype(float)))
    return align(histories)


def scaled(bars: Bars, factor: float, *, rows: int | None = None) -> Bars:
    """Return the same bars with the prices of the newest `rows` (all, if None) in another unit."""
    prices = {name: getattr(bars, name).copy() for name in PRICES}
    for values in prices.values():
        values[0 if rows is None else -rows :] *= np.float32(factor)
    return replace(bars, **prices)
