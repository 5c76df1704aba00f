"""In which pieces the fields of a scan are computed: a few tickers first, so that the first result comes soon.

Evaluates no condition. What is computed for the whole market is kept for other scans, what is computed apart is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from screener.jobs.executor import Executor, choose
from screener.jobs.feed import batches
from screener.jobs.market import Market, Matrix
from screener.jobs.priority import Places
from screener.jobs.request import Plan

FIRST_BLOCK = 256
"""Tickers that are evaluated first."""
BLOCK = 4096
"""Tickers of a piece of work, where there are several processes."""
RANGE_BLOCK = 1024
"""The same over a range of dates, of which each field has many rows: a scan is cancelled between two of them."""
SECONDS_A_CELL = 5e-10
"""Of one field over one bar of one ticker: what decides whether more cores pay."""
SECONDS_A_CELL_OF_A_RANGE = 1e-7
"""The same where each bar's value is wanted, not the newest alone."""
Pieces = Iterator[tuple[Market, Places]]
"""A market that has the fields, and the places in it of the tickers whose turn it is."""


def pieces(
    plan: Plan, market: Market, places: Places, rows: int, *, max_workers: int, cancelled: Callable[[], bool]
) -> Pieces:
    """Give the tickers at `places` in their order, `rows` of each field; on more cores if there is that much to do."""

    def executor(tickers: int, cell_s: float) -> Executor:
        estimated_s = cell_s * len(plan.fields) * tickers * market.rows
        return choose(estimated_s=estimated_s, max_workers=max_workers)

    if plan.is_range:
        by = executor(len(places), SECONDS_A_CELL_OF_A_RANGE)
        yield from _apart(plan, market, batches(places, RANGE_BLOCK), rows, by, cancelled)
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
        yield from _apart(plan, market, batches(rest, BLOCK), rows, by, cancelled)


def _apart(
    plan: Plan, market: Market, parts: Sequence[Places], rows: int, by: Executor, cancelled: Callable[[], bool]
) -> Pieces:
    """Compute each piece for itself; nothing of it is kept."""
    market.prepare([name for name in plan.fields if not market.vocabulary[name].dated], 1)  # workers read nothing
    names = [name for name in plan.fields if market.vocabulary[name].dated]

    def computed(which: Places) -> dict[str, Matrix]:
        return market.of_bars(market.part(which), names, rows)

    for which, matrices in zip(parts, by.run(computed, parts, cancelled), strict=False):
        part = market.take(which)
        part.adopt(matrices, rows)
        yield part, np.arange(len(which))
