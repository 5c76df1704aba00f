"""The patterns that daily bars cannot tell: each on bars of its own, from pre-market prices or the newest minutes.

Reads the minute bars' files as any reader may. Keeps nothing and fires nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import FixByHand, RetryLater
from screener.cube.bars import PRICES, Bars, Floats, fill
from screener.patterns.catalogue import fired
from screener.patterns.momentum import BARS
from screener.patterns.window import Window

FILES = 15
"""A ticker that has not traded in six of so many minutes has no momentum to speak of."""
ROWS = BARS + 1
MINUTE_MS = 60_000


def signs(name: str, bars: Bars) -> Floats:
    """Return 1, -1, 0 of each ticker; NaN where it has not as many bars as there are rows."""
    found = fired(name, Window.last(bars))[-1].astype(np.float64)
    return np.where(bars.counts == bars.rows, found, np.nan)


def premarket_bars(tickers: Sequence[str], price: Floats, close: Floats) -> Bars:
    """Return the last close, and as the bar of a session that has not opened the price before it, without volume."""
    columns = np.arange(len(tickers), dtype=np.int32)
    known = np.flatnonzero(~np.isnan(price) & ~np.isnan(close))
    both = np.concatenate([columns[known], columns[known]])
    rows = np.repeat(np.array([1, 2], np.int32), len(known))
    values = np.concatenate([close[known], price[known]]).astype(np.float32)
    return fill(list(tickers), 2, both, rows, np.tile(values, (4, 1)), np.zeros(len(both)))


def minute_bars(folder: Path, tickers: Sequence[str], session_date: date) -> Bars:
    """Return the newest minutes of the session in which each ticker traded; none without minute bars."""
    files = sorted(folder.glob(f"session_date={session_date}/????-*.parquet"))[-FILES:]
    table = _read(files) if files else {"ticker": [], "minute": [], "volume": [], **{name: [] for name in PRICES}}
    places = {ticker: place for place, ticker in enumerate(tickers)}
    columns = np.array([places.get(ticker, -1) for ticker in table["ticker"]], np.int32)
    known = columns >= 0
    minutes = (np.array(table["minute"], np.int64) // MINUTE_MS).astype(np.int32)
    prices = np.array([table[name] for name in PRICES], np.float32)
    volumes = np.array(table["volume"], np.float64)
    return fill(list(tickers), ROWS, columns[known], minutes[known], prices[:, known], volumes[known])


def _read(files: Sequence[Path]) -> dict[str, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        right = "install it with `pip install 'tickerd[history]'`"
        raise FixByHand("minute bars need pyarrow, which is not installed", right=right) from error
    names = ["ticker", "minute", "volume", *PRICES]
    try:
        table = pyarrow.concat_tables(parquet.ParquetFile(file).read(names, use_threads=False) for file in files)
    except (pyarrow.ArrowException, OSError) as error:  # a session is being made one file just now
        raise RetryLater(f"minute bars cannot be read ({error})", right="scan again") from error
    minutes = table.column("minute").cast(pyarrow.int64())
    return {name: table.column(name).to_pylist() for name in names} | {"minute": minutes.to_pylist()}
