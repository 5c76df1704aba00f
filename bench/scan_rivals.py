"""The core set of measures the ways that others do it: RSI14, ATR14, three SMAs and inside bars, last values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import talib

from screener.cube.bars import Bars, Floats
from screener.measures import market

CORE = ("rsi14", "atr14", "sma20", "sma50", "sma200")
Way = Callable[[], Floats]


def ours(bars: Bars) -> Way:
    def compute() -> Floats:
        found = market.compute(bars, CORE)
        inside = (bars.high[-1] < bars.high[-2]) & (bars.low[-1] > bars.low[-2])
        return np.vstack([*(found[name] for name in CORE), inside])

    return compute


def _columns(bars: Bars) -> list[list[Any]]:
    """Contiguous float64 for each ticker: what a loop over tickers would hold."""
    sides = [np.ascontiguousarray(getattr(bars, name).T.astype(np.float64)) for name in ("high", "low", "close")]
    return [[side[column] for side in sides] for column in range(bars.width)]


def talib_loop(bars: Bars) -> Way:
    columns = _columns(bars)

    def compute() -> Floats:
        out = np.empty((6, len(columns)))
        for place, (high, low, close) in enumerate(columns):
            out[0, place] = talib.RSI(close, 14)[-1]
            out[1, place] = talib.ATR(high, low, close, 14)[-1]
            out[2, place] = talib.SMA(close, 20)[-1]
            out[3, place] = talib.SMA(close, 50)[-1]
            out[4, place] = talib.SMA(close, 200)[-1]
            out[5, place] = high[-1] < high[-2] and low[-1] > low[-2]
        return out

    return compute


def _wilder(values: Any) -> Any:
    return values.ewm(alpha=1 / 14, adjust=False).mean()


def _pandas(high: Any, low: Any, close: Any) -> list[Any]:
    """One ticker's series, or frames of all tickers."""
    change = close.diff()
    gain, loss = _wilder(change.clip(lower=0)), _wilder((-change).clip(lower=0))
    before = close.shift()
    reach = np.maximum(high, before) - np.minimum(low, before)
    averages = [close.rolling(length).mean() for length in (20, 50, 200)]
    inside = (high < high.shift()) & (low > low.shift())
    return [100 * gain / (gain + loss), _wilder(reach), *averages, inside]


def pandas_each(bars: Bars) -> Way:
    columns = [[pd.Series(side) for side in sides] for sides in _columns(bars)]
    return lambda: np.array([[part.iloc[-1] for part in _pandas(*sides)] for sides in columns], np.float64).T


def pandas_wide(bars: Bars) -> Way:
    sides = [pd.DataFrame(getattr(bars, name).astype(np.float64)) for name in ("high", "low", "close")]
    return lambda: np.array([part.iloc[-1].to_numpy() for part in _pandas(*sides)], np.float64)


def polars_over(bars: Bars) -> Way:
    depth = bars.rows
    held = {name: getattr(bars, name).T.astype(np.float64).ravel() for name in ("high", "low", "close")}
    frame = pl.DataFrame({"ticker": np.repeat(np.arange(bars.width), depth), **held})
    close, high, low = pl.col("close"), pl.col("high"), pl.col("low")
    change, before = close.diff(), close.shift()

    def wilder(values: pl.Expr) -> pl.Expr:
        return values.ewm_mean(alpha=1 / 14, adjust=False).last()

    gain, loss = wilder(change.clip(lower_bound=0)), wilder((-change).clip(lower_bound=0))
    reach = pl.max_horizontal(high, before) - pl.min_horizontal(low, before)
    wanted = [
        (100 * gain / (gain + loss)).alias("rsi"),
        wilder(reach).alias("atr"),
        *(close.tail(length).mean().alias(f"sma{length}") for length in (20, 50, 200)),
        ((high.last() < high.shift().last()) & (low.last() > low.shift().last())).cast(pl.Float64).alias("inside"),
    ]
    grouped = frame.lazy().group_by("ticker", maintain_order=True).agg(wanted)
    return lambda: grouped.collect().drop("ticker").to_numpy().T


RIVALS: dict[str, Callable[[Bars], Way]] = {
    "ours": ours,
    "TA-Lib loop": talib_loop,
    "polars group_by": polars_over,
    "pandas wide": pandas_wide,
    "pandas per ticker": pandas_each,
}
