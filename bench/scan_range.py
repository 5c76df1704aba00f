"""What memory scans over years take: conditions that always hold, the best of all, rankings. Bars are generated.

    python -m bench.scan_range              # five years of 8,782 tickers, eight scans at one time
    python -m bench.scan_range --scans 1

Exit code 1 if more is taken than the bound, or a scan does not end as it should.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import structlog
from msgspec.structs import replace

from bench.scan_backtest import generated
from bench.scan_cold import peak_mb
from bench.scan_jobs import one, tools
from screener.cube.bars import date_of
from screener.jobs.families import families
from screener.jobs.market import Market
from screener.jobs.request import Request
from screener.jobs.stopping import TOO_MANY
from screener.measures import memory

TICKERS, BARS = 8782, 1260
LOOK_BACK = 30
BOUND_MB = 1000
"""Beside the bars."""
WAYS: dict[str, tuple[Callable[[int], Request], str]] = {
    "always true": (lambda n: Request(expression=f"close > 0.0{n}"), TOO_MANY),
    "the best 100 of all": (lambda n: Request(expression=f"close > 0.0{n}", order_by="roc20", top=100), "all"),
    "a ranking each day": (lambda n: Request(expression=f"top(roc20, {n + 5})"), "all"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--bars", type=int, default=BARS)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    memory.keep()  # as the scan engine does
    bars = generated(TICKERS, asked.bars)
    market, given, begun_mb = Market(bars, families(), None), tools(), peak_mb()
    since = date_of(int(bars.session[LOOK_BACK].max()))
    print(f"{bars.width} tickers x {bars.rows} bars, {begun_mb:.0f} MB; {asked.scans} scans at one time")
    wrong = 0
    for name, (ask, reason) in WAYS.items():
        requests = [replace(ask(number), since=since) for number in range(asked.scans)]
        begun_s = perf_counter()
        with ThreadPoolExecutor(asked.scans) as pool:
            ended = list(pool.map(lambda request: one(request, market, given)[0], requests))
        told = f"{sum(len(each.results) for each in ended):,} results, {perf_counter() - begun_s:.1f} s"
        print(f"  {name:20} {told}, most so far {peak_mb() - begun_mb:,.0f} MB beside the bars")
        wrong += {each.ended["reason"] for each in ended} != {reason}
    return 1 if wrong or peak_mb() - begun_mb > BOUND_MB else 0


if __name__ == "__main__":
    raise SystemExit(main())
