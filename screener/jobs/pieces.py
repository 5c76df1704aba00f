"""In which pieces the fields of a scan are computed: a few tickers first, so that the first result comes soon.

Evaluates no condition. What is computed for the whole market is kept for other scans, what is computed apart is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence

import numpy as np

from screener.jobs.executor import Executor, choose
from screener.jobs.feed import batches
from screener.jobs.market import Market, Matrix
from screener.jobs.priority import Places
from screener.jobs.request import Plan, WrongRequest

FIRST_BLOCK = 256
"""Tickers that are evaluated first."""
BLOCK = 4096
"""Tickers of a piece of work, where there are several processes."""
RANGE_BLOCK = 1024
"""The same over a range of dates, of which each field has many rows: a scan is cancelled between two of them."""
RANGE_CELLS = 4_000_000
"""Values of one piece, 32 MB: of many fields over years a piece has fewer tickers."""
MOST_RANKED_MB = 1500
"""Of a ranking over a range, which needs each day of all tickers."""
BESIDE = 6
"""Fields' worth of memory that is taken beside them: bars, what is on the way, what each result shows."""
LOOK_S = 0.25
"""A scan that is to end is not kept waiting longer than this."""
SECONDS_A_CELL = 5e-10
"""Of one field over one bar of one ticker: what decides whether more cores pay."""
SECONDS_A_CELL_OF_A_RANGE = 1e-7
"""The same where each bar's value is wanted, not the newest alone."""
_ALONE = threading.Lock()
Pieces = Generator[tuple[Market, Places], None, None]
"""A market that has the fields, and the places in it of the tickers whose turn it is."""


def pieces(
    plan: Plan, market: Market, places: Places, rows: int, *, max_workers: int, is_over: Callable[[], bool]
) -> Pieces:
    """Give the tickers at `places` in their order, `rows` of each field; on more cores if there is that much to do.

    `is_over` is asked between two pieces of work; whoever takes them asks it too, and closes what gives them.
    """
    if plan.market_wide:
        yield from (_ranked_range if plan.is_range else _ranked)(plan, market, places, rows, is_over)
        return

    def executor(tickers: int, cell_s: float) -> Executor:
        estimated_s = cell_s * len(plan.fields) * tickers * market.rows
        return choose(estimated_s=estimated_s, max_workers=max_workers)

    if plan.is_range:
        by = executor(len(places), SECONDS_A_CELL_OF_A_RANGE)
        size = min(RANGE_BLOCK, max(1, RANGE_CELLS // (rows * (len(plan.fields) + BESIDE))))
        yield from _apart(plan, market, batches(places, size), rows, by, is_over)
        return
    first, rest = (places[:0], places) if market.has(plan.fields) else (places[:FIRST_BLOCK], places[FIRST_BLOCK:])
    if len(first):
        yield market.take(first), np.arange(len(first))
    if not len(rest):
        return
    by = executor(len(rest), SECONDS_A_CELL)
    if by.workers == 1:
        market.prepare(plan.fields, rows)  # the whole market in one go, kept for the scans to come
        yield market, rest
    else:
        yield from _apart(plan, market, batches(rest, BLOCK), rows, by, is_over)


def _apart(
    plan: Plan, market: Market, parts: Sequence[Places], rows: int, by: Executor, is_over: Callable[[], bool]
) -> Pieces:
    """Compute each piece for itself; nothing of it is kept."""
    market.prepare([name for name in plan.fields if not market.vocabulary[name].dated], 1)  # workers read nothing
    names = [name for name in plan.fields if market.vocabulary[name].dated]

    def computed(which: Places) -> dict[str, Matrix]:
        return market.of_bars(market.part(which), names, rows)

    for which, matrices in zip(parts, by.run(computed, parts, is_over), strict=False):
        part = market.take(which)
        part.adopt(matrices, rows)
        yield part, np.arange(len(which))


def _ranked(plan: Plan, market: Market, places: Places, rows: int, is_over: Callable[[], bool]) -> Pieces:
    """A place is one among all: all fields are computed together, of the whole market."""
    if not is_over():
        market.prepare(plan.fields, rows)
        yield market, places


def _ranked_range(plan: Plan, market: Market, places: Places, rows: int, is_over: Callable[[], bool]) -> Pieces:
    """The same over a range, one scan of this process at a time: so much memory is needed once, not eight times.

    In a market of its own, which keeps no other scan waiting; one field after the other, so that who cancels need not
    wait for all. WrongRequest if it is too much.
    """
    _unless_too_much(rows * market.tickers * (len(plan.fields) + BESIDE))
    while not _ALONE.acquire(timeout=LOOK_S):
        if is_over():
            return
    try:
        own = market.with_bars(market.bars)
        for name in plan.fields:
            if is_over():
                return
            own.prepare((name,), rows)
        yield own, places
    finally:
        _ALONE.release()


def _unless_too_much(cells: int) -> None:
    needed_mb = cells * np.dtype(np.float64).itemsize / 1e6
    if needed_mb > MOST_RANKED_MB:
        said = f"ranking each day of this range takes {needed_mb:,.0f} MB, at most {MOST_RANKED_MB:,} are taken"
        raise WrongRequest(said, key="since", right="ask for fewer days or fields")
