"""What a hundred scans of one warm market cost, with their JSON; what more processes give; progress and priority.

CPU seconds of one process, the best of the runs; of several processes the time on the wall.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, process_time

import msgspec
import numpy as np
import structlog

from bench import scan_priority, scan_progress
from core.settings import Screener
from screener.cube.bars import Bars
from screener.jobs.executor import Forked, Inline, cores
from screener.jobs.families import arms, families
from screener.jobs.feed import batches
from screener.jobs.market import Market
from screener.jobs.ordering import Chances
from screener.jobs.pieces import RANGE_BLOCK
from screener.jobs.priority import Places
from screener.jobs.request import Request
from screener.jobs.results import ResultLog
from screener.jobs.scan import Outcome, Scan, Tools
from screener.jobs.times import History
from screener.measures import market as market_
from screener.measures.catalogue import CATALOGUE
from screener.work import AT_ONCE

SCANS = 100
RUNS = 7
SHAPES = (
    "rsi14 < {} and close > sma200",
    "close crosses_above sma50 and rvol20 > 1.{}",
    "inside_bar_bullish_breakout and rsi14 > {}",
    "top(roc20, {}) and close > sma50",
)
BOUNDS = {"hundred_scans_s": 0.2, "patterns_below_60_percent": 0.0, **scan_progress.BOUNDS}


def requests(count: int) -> list[Request]:
    """Return so many scans of which no two are the same."""
    return [Request(expression=SHAPES[n % len(SHAPES)].format(20 + n // len(SHAPES))) for n in range(count)]


def tools() -> Tools:
    return Tools(settings=Screener(), history=History(None), chances=Chances(arms=arms()))


def one(request: Request, market: Market, given: Tools) -> tuple[Outcome, ResultLog]:
    out = ResultLog("scan_bench")
    return Scan("scan_bench", request, lambda: market, given, out).run(), out


def encoded(outcome: Outcome) -> bytes:
    return msgspec.json.encode({"status": outcome.status, "results": outcome.results, "timings": outcome.timings})


def hundred(market: Market, given: Tools, *, threads: int) -> tuple[float, float]:
    """Return seconds of this process's processor time and by the clock."""
    begun = process_time(), perf_counter()
    if threads == 1:
        size = sum(len(encoded(one(request, market, given)[0])) for request in requests(SCANS))
    else:
        with ThreadPoolExecutor(threads) as pool:
            size = sum(pool.map(lambda request: len(encoded(one(request, market, given)[0])), requests(SCANS)))
    assert size > SCANS
    return process_time() - begun[0], perf_counter() - begun[1]


def forked(bars: Bars) -> None:
    """Print what more processes give: for the newest values of all fields, and for each day of a range."""
    names = [name for name in CATALOGUE if not CATALOGUE[name].of_market]
    pieces = batches(np.arange(bars.width), RANGE_BLOCK)
    for rows, fields in ((1, names[:5]), (1, names), (120, names[:5]), (120, ["tech_rating", "adx14"])):

        def work(piece: Places, rows: int = rows, fields: list[str] = fields) -> float:
            found = market_.compute(bars.columns(piece), fields, rows)
            return float(np.nansum(found[fields[0]]))

        took = {}
        for executor in (Inline(), Forked(cores())):
            begun_s = perf_counter()
            list(executor.run(work, pieces, lambda: False))
            took[executor.workers] = perf_counter() - begun_s
        told = ", ".join(f"{workers} process{'es' * (workers > 1)} {took_s:.3f} s" for workers, took_s in took.items())
        print(f"  {len(fields)} fields, {rows} rows: {told}")


def figures(bars: Bars) -> dict[str, float]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    given, market = tools(), Market(bars, families(), None)
    hundred(market, given, threads=1)
    took: dict[int, list[tuple[float, float]]] = {threads: [] for threads in (1, AT_ONCE)}
    for _ in range(RUNS):
        for threads, found in took.items():
            found.append(hundred(market, given, threads=threads))
    for threads, found in took.items():
        cpu_s, wall_s = (min(column) for column in zip(*found, strict=True))
        print(f"  {SCANS} scans, threads: {threads}: {cpu_s:.3f} s, by the clock {wall_s:.3f} s")
    forked(bars)
    return {
        "hundred_scans_s": min(cpu_s for cpu_s, _ in took[AT_ONCE]),
        **scan_progress.figures(bars),
        **scan_priority.figures(),
    }
