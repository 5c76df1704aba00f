"""What a scan of the whole market costs on one core, beside the ways that others do it. Bars are generated.

python -m bench.scan              # 8,782 tickers x 260 bars, every way
python -m bench.scan --quick      # without pandas per ticker, which takes half a minute a run

CPU seconds, the best of the runs; each round runs every way once, so that what else the machine does meets all alike.
Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from bench import scan_jobs
from bench.scan_backtest import generated
from bench.scan_cold import FIELDS, FIRST_BLOCK
from bench.scan_rivals import RIVALS
from screener.cube import save
from screener.cube.bars import FIELDS as SIDES
from screener.cube.bars import Bars
from screener.cube.files import MARK, Cube
from screener.cube.live import Live
from screener.jobs.families import Patterns
from screener.measures import market
from screener.measures.catalogue import CATALOGUE
from screener.measures.state import State
from screener.patterns.candles import table
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import Window
from tests.screener.measures.oracle import ORACLE, compare
from tests.screener.patterns.candles.test_table import of_talib

TICKERS, BARS = 8782, 260
FLAGS = 39
SLOW_RUNS = 2  # of those that take half a minute
ONE_CORE = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")} | {"POLARS_MAX_THREADS": "1"}
BOUNDS = {
    "times pandas per ticker": 1000.0,
    "times the TA-Lib loop": 10.0,
    "fields_and_flags_s": 0.1,
    "everything_s": 0.25,
    "first_warm_s": 0.015,
    "first_cold_s": 0.15,
    "all_cold_s": 0.4,
    "rescan_s": 0.002,
    "peak_mb": 350.0,
    "parity": 1e-9,
    "candles_that_differ": 0.0,
} | scan_jobs.BOUNDS
AT_LEAST = {"times pandas per ticker", "times the TA-Lib loop"}


def best_s(function: Callable[[], object], runs: int) -> float:
    found = []
    for _ in range(runs):
        begun_s = process_time()
        function()
        found.append(process_time() - begun_s)
    return min(found)


def core_set(bars: Bars, runs: int, *, quick: bool) -> dict[str, float]:
    ways = {name: make(bars) for name, make in RIVALS.items() if not (quick and name == "pandas per ticker")}
    values = {name: compute() for name, compute in ways.items()}
    seconds = {name: float("inf") for name in ways}
    for number in range(runs):
        for name, compute in ways.items():
            if number < SLOW_RUNS or name not in ("pandas per ticker", "pandas wide"):
                seconds[name] = min(seconds[name], best_s(compute, 1))
    for name, taken_s in seconds.items():
        apart = np.nanmax(np.abs(values[name][:5] / values["TA-Lib loop"][:5] - 1))
        told = f"{seconds['TA-Lib loop'] / taken_s:8.1f} x TA-Lib loop"
        print(f"  {name:20} {1e3 * taken_s:10.1f} ms  {told}  apart from it by {apart:.0e}")
    shares = {"times the TA-Lib loop": seconds["TA-Lib loop"] / seconds["ours"]}
    if not quick:
        shares["times pandas per ticker"] = seconds["pandas per ticker"] / seconds["ours"]
    return shares


def whole_set(bars: Bars, runs: int) -> dict[str, float]:
    """The fields and flags that a scan may ask for."""
    flags = list(PATTERNS)[:FLAGS]
    first = bars.columns(slice(0, FIRST_BLOCK))
    patterns = Patterns()

    def everything() -> None:
        market.compute(bars, list(CATALOGUE))
        patterns.compute(bars, list(PATTERNS), 1)

    def some() -> None:
        market.compute(bars, FIELDS)
        patterns.compute(bars, flags, 1)

    return {
        "fields_and_flags_s": best_s(some, runs),
        "everything_s": best_s(everything, runs),
        "first_warm_s": best_s(lambda: market.of_block(first, market.by_ticker(FIELDS)), runs),
    }


def rescan(bars: Bars, runs: int) -> dict[str, float]:
    past = bars.until(bars.newest_day - 1)
    newest = {side: getattr(bars, side)[-1].astype(np.float64) for side in SIDES}
    live, state = Live(day=bars.newest_day, **newest), State.of(past)
    whole = market.compute(bars, [name for name in state.values(live) if name in CATALOGUE])
    for name, values in state.values(live).items():
        if name in whole:
            np.testing.assert_allclose(values, whole[name][-1], rtol=1e-9, atol=1e-9, err_msg=name)
    print(f"  {len(whole)} measures of new prices equal those of all bars")
    return {"rescan_s": best_s(lambda: state.values(live), 20 * runs)}


def cold(bars: Bars, runs: int) -> dict[str, float]:
    """Processes of their own, from their start; the files are in the system's cache, nothing else is.

    CPU seconds of the whole process; the wall clock's and a process that only imports numpy are told beside.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        save.write(Path(folder), Cube(bars=bars, marks=np.zeros(bars.width, MARK), write="1"))
        command = [sys.executable, "-m", "bench.scan_cold", folder, "fields"]
        for _ in range(2 * runs):
            bare_s, bare_cpu_s, _ = spawned([sys.executable, "-c", "import numpy"])
            whole_s, whole_cpu_s, said = spawned(command)
            first = whole_s - said["after_first_s"], whole_cpu_s - said["after_first_cpu_s"]
            found.append((*first, whole_s, whole_cpu_s, bare_s, bare_cpu_s))
        peak_mb = spawned([*command[:-1], "all"])[2]["peak_mb"]
    first_s, first_cpu_s, all_s, all_cpu_s, bare_s, bare_cpu_s = (min(column) for column in zip(*found, strict=True))
    print(f"  cold, by the clock: first {first_s:.3f} s, all {all_s:.3f} s")
    print(f"  a process that only imports numpy: {bare_cpu_s:.3f} s CPU, {bare_s:.3f} s by the clock")
    return {"first_cold_s": first_cpu_s, "all_cold_s": all_cpu_s, "peak_mb": peak_mb}


def spawned(command: list[str]) -> tuple[float, float, dict[str, float]]:
    """Return wall and CPU seconds of a process, and what it said."""
    begun_s, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(command, capture_output=True, check=True).stdout
    wall_s, after = perf_counter() - begun_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, json.loads(said or "{}")


def parity(bars: Bars) -> dict[str, float]:
    """Each bar of 300 tickers, a third of them younger than the rows."""
    cut = bars.columns(slice(0, 300))
    print("  measure          largest relative difference   values that only one has")
    worst = 0.0
    for name in ORACLE:
        apart, alone = compare(cut, name, cut.rows)
        worst = max(worst, apart, float(alone))
        print(f"  {name:16} {apart:28.1e} {alone:26}")
    return {"parity": worst}


def candles(bars: Bars) -> dict[str, float]:
    """Every bar of 1,000 tickers by each of TA-Lib's candle functions."""
    cut = bars.columns(slice(0, 1000))
    window, names, fired, differ = Window(cut, 0), list(table.CANDLES), 0, {}
    for name in names:
        ours = PATTERNS[name].fire(window)
        theirs = np.column_stack([of_talib(name, cut, column) for column in range(cut.width)])
        fired += int(np.count_nonzero(theirs))
        differ[name] = int(np.count_nonzero(ours != theirs))
    unlike = ", ".join(f"{name}: {count}" for name, count in differ.items() if count) or "none differs"
    print(f"  {len(names)} candles x {cut.width * cut.rows} bars, {fired} found; {unlike}")
    return {"candles_that_differ": float(sum(differ.values()))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tickers", type=int, default=TICKERS)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    if ONE_CORE.items() - os.environ.items():  # the libraries read it as they are loaded
        return subprocess.run([sys.executable, "-m", "bench.scan", *sys.argv[1:]], env=os.environ | ONE_CORE).returncode
    bars = generated(asked.tickers, BARS)
    print(f"{bars.width} tickers x {bars.rows} bars; RSI14, ATR14, SMA 20, 50, 200, inside bar; last values")
    found = core_set(bars, asked.runs, quick=asked.quick)
    found |= whole_set(bars, asked.runs) | rescan(bars, asked.runs) | cold(bars, asked.runs)
    found |= parity(bars) | candles(bars)
    found |= scan_jobs.figures(bars)
    missed = 0
    print(f"{len(CATALOGUE)} measures, {len(PATTERNS)} patterns; {len(FIELDS)} fields and {FLAGS} flags of them")
    for name, value in found.items():
        good = value >= BOUNDS[name] if name in AT_LEAST else value <= BOUNDS[name]
        missed += not good
        print(f"  {name:26} {value:12.4g}  bound {BOUNDS[name]:g}{'' if good else '  MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
