"""Every pattern on real daily bars: how often it fired and what became of it; charts of some.

    python -m bench.scan_patterns [FILE] [--charts FOLDER]

FILE: CSV, gzipped or not, with the columns symbol,date,open,high,low,close,volume. Without it, generated bars, which
say nothing of a pattern's worth.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO

import numpy as np

from bench.scan_backtest import generated
from bench.scan_charts import draw
from screener.backtest.run import Outcome, run
from screener.cube.bars import Bars, History, align, day_number
from screener.measures import market
from screener.patterns.catalogue import DAILY, PATTERNS, fired
from screener.patterns.window import Window

CHARTED = (
    "inside_bar_bullish_breakout",
    "outside_bar_bearish",
    "week_52_high_breakout",
    "golden_cross",
    "squeeze_fired",
    "lc_frontside_d2",
)


@contextmanager
def opened(file: Path) -> Iterator[IO[str]]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as text:
        yield text


def read(file: Path) -> Bars:
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    with opened(file) as text:
        for row in csv.DictReader(text):
            day = day_number(date.fromisoformat(row["date"]))
            values = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
            rows[row["symbol"]].append((day, *values))
    histories = []
    for ticker, held in sorted(rows.items()):
        days, opens, highs, lows, closes, volumes = np.array(sorted(held)).T
        histories.append(History(ticker, days.astype(np.int32), opens, highs, lows, closes, volumes))
    return align(histories)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--charts", type=Path)
    asked = parser.parse_args()
    bars = read(asked.file) if asked.file else generated(300, 504)
    ranked = market.compute(bars, ["rs_rating"], bars.rows)
    window = Window(bars, 0, ranked=ranked)
    print(f"{bars.width} tickers x {bars.rows} bars, {int(bars.counts.sum()):,} bars in all")
    outcomes = run(bars, {name: PATTERNS[name].fire for name in DAILY}, horizons=(10,), ranked=("rs_rating",))
    rates = {(one.name, one.side): one for one in outcomes}
    print("| pattern | buys | sells | hits over 10 sessions, % (95 %), base |")
    for name in DAILY:
        signs = fired(name, window)
        told = [_told(rates[name, side]) for side in (1, -1) if (name, side) in rates]
        print(f"| `{name}` | {(signs > 0).sum():,} | {(signs < 0).sum():,} | {'; '.join(told) or '-'} |")
    for name in CHARTED if asked.charts else ():
        rows, columns = np.nonzero(fired(name, window)[260:-15])
        if len(rows):
            middle = len(rows) // 2
            print(draw(bars, int(columns[middle]), int(rows[middle]) + 260, name, asked.charts / f"pattern-{name}.svg"))


def _told(one: Outcome) -> str:
    rate, base, word = one.rate, one.base_rate, "buy" if one.side > 0 else "sell"
    if rate.rate is None or rate.low is None or rate.high is None or base is None:
        return f"{word} -"
    return f"{word} {100 * rate.rate:.1f} ({100 * rate.low:.1f}-{100 * rate.high:.1f}), {100 * base:.1f}"


if __name__ == "__main__":
    main()
