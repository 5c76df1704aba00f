"""A ten-year back-test of eight patterns at four horizons over the whole market, one core. Bars are generated.

python -m bench.scan_backtest            # 8,782 tickers x 2,520 bars
python -m bench.scan_backtest --tickers 1000
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

from screener.backtest.run import run
from screener.cube.bars import Bars, empty
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import DEPTH

TICKERS, YEARS, SESSIONS = 8782, 10, 252
NAMES = (
    "inside_bar_bullish_breakout",
    "inside_bar_bearish_breakdown",
    "outside_bar_bullish",
    "gap_up_breakout",
    "nr7",
    "week_52_high_breakout",
    "golden_cross",
    "squeeze_fired",
)
LIMIT_S = 4.0


def generated(tickers: int, rows: int, seed: int = 9) -> Bars:
    """Return random walks: what they earn says nothing, what they cost is what real bars cost."""
    rng = np.random.default_rng(seed)
    bars = empty([f"T{number}" for number in range(tickers)], rows)
    price = rng.uniform(5.0, 300.0, tickers).astype(np.float32)
    for row in range(rows):
        steps = rng.standard_normal((4, tickers), np.float32)
        start = price * np.exp(0.006 * steps[0])
        price = start * np.exp(0.015 * steps[1])
        bars.open[row], bars.close[row] = start, price
        bars.high[row] = np.maximum(start, price) * (1.0 + 0.006 * np.abs(steps[2]))
        bars.low[row] = np.minimum(start, price) * (1.0 - 0.006 * np.abs(steps[3]))
        bars.volume[row] = np.round(1e6 * np.exp(0.5 * steps[2]))
        bars.session[row] = row + 1
    bars.counts[:] = rows
    return bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=TICKERS)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    bars = generated(asked.tickers, YEARS * SESSIONS)
    conditions = {name: PATTERNS[name].fire for name in NAMES}
    held_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall_s, cpu_s = [], []
    for _ in range(asked.runs):
        start, cpu = time.perf_counter(), time.process_time()
        outcomes = run(bars, conditions)
        wall_s.append(time.perf_counter() - start)
        cpu_s.append(time.process_time() - cpu)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    events = sum(one.rate.events for one in outcomes if one.rate.horizon == 1)
    print(
        f"{bars.width:,} tickers x {bars.rows:,} generated bars, {len(NAMES)} patterns x 4 horizons, {events:,} events"
    )
    print(f"wall s: {', '.join(f'{one:.2f}' for one in wall_s)}; median {statistics.median(wall_s):.2f}")
    print(f"CPU s:  {', '.join(f'{one:.2f}' for one in cpu_s)}; least {min(cpu_s):.2f} (limit {LIMIT_S:.0f})")
    print(f"peak {peak_mb:.0f} MB, of them the bars and Python {held_mb:.0f} MB; depth of a condition {DEPTH} bars")


if __name__ == "__main__":
    main()
