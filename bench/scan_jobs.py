"""What a hundred scans of one warm market cost, with their JSON, and what telling their progress costs.

CPU seconds of one process, the best of the runs. The times that progress is measured by are those of the scans' own
log: each entry knows when it was written.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, process_time

import msgspec
import numpy as np
import structlog

from core.settings import Screener
from screener.cube.bars import Bars
from screener.jobs.families import arms, families
from screener.jobs.market import Market
from screener.jobs.ordering import Chances
from screener.jobs.request import Request
from screener.jobs.results import ResultLog
from screener.jobs.scan import Outcome, Scan, Tools
from screener.jobs.times import History
from screener.work import AT_ONCE

SCANS = 100
RUNS = 7
SHAPES = (
    "rsi14 < {} and close > sma200",
    "close crosses_above sma50 and rvol20 > 1.{}",
    "inside_bar_bullish_breakout and rsi14 > {}",
    "top(roc20, {}) and close > sma50",
)
BOUNDS = {"hundred_scans_s": 0.2, "progress_share": 0.01, "eta_error": 0.05}


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


def hundred(market: Market, given: Tools, *, threads: int) -> float:
    begun_s = process_time()
    if threads == 1:
        size = sum(len(encoded(one(request, market, given)[0])) for request in requests(SCANS))
    else:
        with ThreadPoolExecutor(threads) as pool:
            size = sum(pool.map(lambda request: len(encoded(one(request, market, given)[0])), requests(SCANS)))
    assert size > SCANS
    return process_time() - begun_s


def telling(market: Market, given: Tools) -> float:
    """Return the share of the time that goes into saying how far a scan is."""
    said, spent = Scan._say, [0.0]

    def timed(self: Scan, *, always: bool = False) -> None:
        begun_s = perf_counter()
        said(self, always=always)
        spent[0] += perf_counter() - begun_s

    try:
        Scan._say = timed  # type: ignore[method-assign]
        begun_s = perf_counter()
        hundred(market, given, threads=1)
        return spent[0] / (perf_counter() - begun_s)
    finally:
        Scan._say = said  # type: ignore[method-assign]


def eta_error(bars: Bars, given: Tools) -> float:
    """Return the mean |progress - share of the time| over scans that compute everything anew."""
    apart = []
    for _ in range(RUNS):
        market = Market(bars, families(), None)
        _, out = one(Request(expression="tech_rating > 50 and adx14 > 20 and mfi14 < 80"), market, given)
        told = [entry for entry in out.read() if entry.kind in ("progress", "complete")]
        begun_s, took_s = told[0].at_s, told[-1].at_s - told[0].at_s
        apart.append([abs(e.data["overall_progress"] / 100 - (e.at_s - begun_s) / took_s) for e in told])
        shown = [entry.data["overall_progress"] for entry in told]
        assert shown == sorted(shown), "progress went back"
    return float(np.mean(np.concatenate(apart[2:])))


def figures(bars: Bars) -> dict[str, float]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    given, market = tools(), Market(bars, families(), None)
    hundred(market, given, threads=1)
    warm_s = min(hundred(market, given, threads=1) for _ in range(RUNS))
    print(f"  {SCANS} scans one after the other: {warm_s:.3f} s")
    return {
        "hundred_scans_s": min(hundred(market, given, threads=AT_ONCE) for _ in range(RUNS)),
        "progress_share": min(telling(market, given) for _ in range(RUNS)),
        "eta_error": eta_error(bars, given),
    }
