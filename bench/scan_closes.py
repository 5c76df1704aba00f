"""Fields that closes alone decide, on the real closes of a whole market: how often each holds, and TA-Lib beside it.

    python -m bench.scan_closes CLOSES [VOLUMES]

CSV, gzipped or not, one row a ticker: symbol, then a column a session; an empty cell is a session without a trade.
Open, high and low are not known and stand at the close: what asks for them is not counted here.
"""

from __future__ import annotations

import argparse
import csv
from datetime import date
from pathlib import Path

import numpy as np
import talib

from bench.scan_patterns import opened
from screener.cube.bars import Bars, History, align, day_number
from screener.expressions.check import check
from screener.expressions.evaluate import matches
from screener.jobs.families import families
from screener.jobs.market import Market

CONDITIONS = (
    "rsi14 < 30",
    "rsi14 > 70",
    "rsi2 < 5",
    "close > sma50 and sma50 > sma200",
    "golden_cross",
    "death_cross",
    "close crosses_above sma200",
    "macd crosses_above macd_signal",
    "close > bb_upper",
    "close < bb_lower",
    "roc20 > 20",
    "roc20 < -20",
    "rs_rating >= 90",
    "top(roc63, 50)",
    "rsi14 < 30 and close > sma200",
    "volume_surge",
)
CONTROLS = ("rsi14 < 30", "rsi14 > 70", "golden_cross", "death_cross")


def rows_of(file: Path) -> tuple[list[int], dict[str, list[float]]]:
    with opened(file) as text:
        table = csv.reader(text)
        days = [day_number(date.fromisoformat(day)) for day in next(table)[1:]]
        return days, {row[0]: [float(cell) if cell else np.nan for cell in row[1:]] for row in table}


def read(closes: Path, volumes: Path | None) -> Bars:
    days, held = rows_of(closes)
    traded = rows_of(volumes)[1] if volumes else {}
    nothing = [np.nan] * len(days)
    histories = []
    for ticker, values in held.items():
        close, volume = np.array(values), np.array(traded.get(ticker, nothing))
        known = close > 0
        sides = (close[known],) * 4
        histories.append(History(ticker, np.array(days, np.int32)[known], *sides, volume[known]))
    return align(histories)


def counted(market: Market, text: str) -> tuple[int, int]:
    """Return for how many tickers it holds on the newest session, and on how many bars of all."""
    checked = check(text, market.vocabulary)
    market.prepare(checked.fields, market.rows)
    yes = matches(checked, market, rows=market.rows - checked.look_back).yes
    return int((yes[-1] & market.current()).sum()), int(yes.sum())


def by_talib(bars: Bars) -> dict[str, tuple[int, int]]:
    """Return the same for some conditions, ticker by ticker. What has never moved has no RSI with us, there 0."""
    found = {name: np.zeros(2, int) for name in CONTROLS}
    newest = bars.newest_day
    for column in range(bars.width):
        close = bars.close[bars.starts[column] :, column].astype(np.float64)
        if len(close) < 15:
            continue
        rsi, fast, slow = talib.RSI(close), talib.SMA(close, 50), talib.SMA(close, 200)
        moved = np.cumsum(np.diff(close, prepend=close[:1]) != 0) > 0
        above = fast > slow
        crossed = np.zeros(len(close), bool)
        crossed[1:] = ~np.isnan(slow[:-1]) & (above[1:] != above[:-1])
        held = {
            "rsi14 < 30": moved & (rsi < 30),
            "rsi14 > 70": rsi > 70,
            "golden_cross": crossed & above,
            "death_cross": crossed & ~above,
        }
        is_current = bars.session[-1, column] == newest
        for name, where in held.items():
            found[name] += (int(where[-1] and is_current), int(where.sum()))
    return {name: (int(now), int(ever)) for name, (now, ever) in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("closes", type=Path)
    parser.add_argument("volumes", type=Path, nargs="?")
    asked = parser.parse_args()
    bars = read(asked.closes, asked.volumes)
    market = Market(bars, families(), None)
    print(
        f"{bars.width} tickers, {int(bars.counts.sum()):,} closes; {int(market.current().sum())} in the newest session"
    )
    control = by_talib(bars)
    print("| condition | tickers, newest session | bars of all sessions | TA-Lib |\n|---|---|---|---|")
    for text in CONDITIONS:
        now, ever = counted(market, text)
        beside = f"{control[text][0]:,} / {control[text][1]:,}" if text in control else "-"
        print(f"| `{text}` | {now:,} | {ever:,} | {beside} |")


if __name__ == "__main__":
    main()
