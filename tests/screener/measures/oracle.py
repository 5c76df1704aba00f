"""TA-Lib's own values beside ours: which function answers which measure, asked ticker by ticker as it wants to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import talib

from screener.cube.bars import Bars, Floats
from screener.measures.catalogue import Frame

Ask = Callable[[Any, Any, Any, Any, Any], Any]

PLAIN: Any = 0  # of the ways to smooth, the plain mean


def _average(function: Any, length: int) -> Ask:
    return lambda o, h, lo, c, v: function(c, length)


ORACLE: dict[str, Ask] = {
    **{f"sma{length}": _average(talib.SMA, length) for length in (5, 20, 50, 200)},
    **{f"ema{length}": _average(talib.EMA, length) for length in (9, 12, 26, 50, 200)},
    "rsi2": lambda o, h, lo, c, v: talib.RSI(c, 2),
    "rsi14": lambda o, h, lo, c, v: talib.RSI(c, 14),
    "atr14": lambda o, h, lo, c, v: talib.ATR(h, lo, c, 14),
    "atr_percent14": lambda o, h, lo, c, v: talib.NATR(h, lo, c, 14),
    "adx14": lambda o, h, lo, c, v: talib.ADX(h, lo, c, 14),
    "plus_di14": lambda o, h, lo, c, v: talib.PLUS_DI(h, lo, c, 14),
    "minus_di14": lambda o, h, lo, c, v: talib.MINUS_DI(h, lo, c, 14),
    "macd": lambda o, h, lo, c, v: talib.MACD(c)[0],
    "macd_signal": lambda o, h, lo, c, v: talib.MACD(c)[1],
    "macd_hist": lambda o, h, lo, c, v: talib.MACD(c)[2],
    "bb_upper": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[0],
    "bb_middle": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[1],
    "bb_lower": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[2],
    "stdev20": lambda o, h, lo, c, v: talib.STDDEV(c, 20),
    "stoch_k": lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, PLAIN, 3, PLAIN)[0],
    "stoch_d": lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, PLAIN, 3, PLAIN)[1],
    "fast_k14": lambda o, h, lo, c, v: talib.STOCHF(h, lo, c, 14, 1, PLAIN)[0],
    "cci14": lambda o, h, lo, c, v: talib.CCI(h, lo, c, 14),
    "cci20": lambda o, h, lo, c, v: talib.CCI(h, lo, c, 20),
    "mfi14": lambda o, h, lo, c, v: talib.MFI(h, lo, c, v, 14),
    "wr14": lambda o, h, lo, c, v: talib.WILLR(h, lo, c, 14),
    "roc10": lambda o, h, lo, c, v: talib.ROC(c, 10),
    "momentum10": lambda o, h, lo, c, v: talib.MOM(c, 10),
    "ultimate": lambda o, h, lo, c, v: talib.ULTOSC(h, lo, c, 7, 14, 28),
    "highest20": lambda o, h, lo, c, v: talib.MAX(h, 20),
    "lowest20": lambda o, h, lo, c, v: talib.MIN(lo, 20),
}  # fmt: skip

SHOWN_EARLIER = {"stoch_k": 2}
"""Ours has the first value so many bars before TA-Lib, which shows K only where there is D."""
LEAST = 1e-3  # where TA-Lib's running sums leave 1e-14 of a 0, that is no difference
OSCILLATORS = {"macd", "macd_signal", "macd_hist", "cci14", "cci20", "momentum10", "roc10"}
"""Cross 0, where no relative difference can be small: measured against the largest of the column."""


def expected(bars: Bars, name: str) -> Floats:
    """Return (T, N) as TA-Lib computes it from each ticker's own bars."""
    out = np.full((bars.rows, bars.width), np.nan)
    for column, start in enumerate(bars.starts):
        own = [
            getattr(bars, side)[start:, column].astype(np.float64)
            for side in ("open", "high", "low", "close", "volume")
        ]
        if len(own[0]):
            out[start:, column] = ORACLE[name](*own)
    return out


def compare(bars: Bars, name: str, rows: int) -> tuple[float, int]:
    """Return (largest relative difference, in how many places only one of both has a value) of the newest rows."""
    ours, theirs = Frame(bars, rows)[name], expected(bars, name)[-rows:]
    held = ~np.isnan(ours) & ~np.isnan(theirs)
    scale = np.abs(theirs)
    if name in OSCILLATORS:
        scale = np.maximum(scale, np.nanmax(np.where(held, scale, 0.0), axis=0, initial=0.0))
    apart = np.abs(ours - theirs)[held]
    worst = float((apart / np.maximum(scale[held], LEAST)).max(initial=0.0)) if apart.any() else 0.0
    alone = np.isnan(theirs) & ~np.isnan(ours) if name in SHOWN_EARLIER else np.isnan(ours) != np.isnan(theirs)
    allowed = SHOWN_EARLIER.get(name, 0) * bars.width
    return worst, max(int(np.count_nonzero(alone)) - allowed, 0)
