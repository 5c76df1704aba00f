"""What most people write: `yfinance.Ticker(...).info` in 50 threads. Run by `bench.daily` as a process of its own.

The proxy and its CA come in the environment. Prints how many tickers were told of and what failed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import yfinance as yf

THREADS = 50


def info(symbol: str) -> str:
    """Return "told", or what went wrong."""
    try:
        found = yf.Ticker(symbol).info
    except Exception as error:  # whatever comes is counted by its name
        return type(error).__name__
    return "told" if found.get("regularMarketPrice") is not None and found.get("quoteType") else "empty"


if __name__ == "__main__":
    with ThreadPoolExecutor(THREADS) as pool:
        print(json.dumps(Counter(pool.map(info, sys.argv[1:]))))
