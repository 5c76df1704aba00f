"""kill -9 at random points of a night, for `bench.daily`: is everything there in the end, and what was asked twice?"""

from __future__ import annotations

import random
from typing import Any

from bench.daily_market import Bench, practice
from core.clock import SystemClock, pause
from simulator.record.ledger import Asked

IDENTITY = ("/", "/v1/test/getcrumb")
"""Each start has a cookie and a crumb of its own."""
CHART, SCREENER = "/v8/finance/chart/", "/v1/finance/screener"
FEW_DAYS_BYTES = 6_000
"""A chart of 400 sessions has five times as many."""
START_S = 1.0
"""The interpreter and its imports: a kill in them interrupts nothing."""
POLL_S = 0.02


def kills(count: int, *, tickers: int, latency_s: float, seed: int) -> dict[str, Any]:
    """Kill the scanner `count` times at random points of its night, then let it end."""
    dice = random.Random(seed)
    with practice(tickers, start_per_s=1000.0, max_per_s=1000.0) as bench:
        bench.market.fault("slow_answer", delay_s=latency_s)
        marks = [0]
        ahead = 2 * tickers
        for number in range(count):
            share = (ahead - marks[-1]) / (count - number)
            wanted = marks[-1] + dice.uniform(0.0, 2.0 * share)
            _kill_at(bench, int(wanted))
            marks.append(bench.market.status().requests)
        last = bench.start()
        code = last.wait()
        return {"exit_code": code, "kills": count} | _judged(bench, marks)


def _kill_at(bench: Bench, requests: int) -> None:
    """Start the scanner and kill it once the market has been asked so often, or if it ends before."""
    process, clock = bench.start(), SystemClock()
    begun_s = clock.monotonic_s()
    while process.poll() is None:
        pause(POLL_S)
        if bench.market.status().requests >= requests and clock.monotonic_s() > begun_s + START_S:
            process.kill()
    process.wait()
    pause(1.0)  # what was under way is answered, and in the ledger


def _judged(bench: Bench, marks: list[int]) -> dict[str, Any]:
    """`asked_again`: requests of each start that an earlier one had sent, which its kill has cost."""
    run = bench.newest_run()
    incomplete = bench.rows(
        "SELECT count(*) FROM stocks_stock LEFT JOIN daily_progress USING (ticker) WHERE is_listed AND (quote IS NULL"
        " OR fundamentals IS NULL OR (chart_need IS NOT NULL AND chart IS NULL))"
    )[0][0]
    asked: set[tuple[str, str]] = set()
    again, twice = [], 0
    for first, last in zip(marks, [*marks[1:], 1 << 60], strict=True):
        part = [each for each in bench.market.requests(first) if each.number <= last and each.path not in IDENTITY]
        again.append(sum(1 for each in part if not asked.isdisjoint(questions(each))))
        found = [question for each in part for question in questions(each)]
        twice += len(found) - len(set(found))
        asked.update(found)
    return {
        "status": run["status"],
        "tickers": len(bench.tickers),
        "incomplete": incomplete,
        "questions": len(asked),
        "asked_again": again[1:],
        "most_again": max(again),
        "twice_in_one_start": twice,
    }


def questions(asked: Asked) -> list[tuple[str, str]]:
    """Return what a request asked for: path and ticker; the audit's charts of a few days are questions of their own."""
    if asked.path.startswith(CHART):
        return [("audit" if asked.sent_bytes < FEW_DAYS_BYTES else CHART, asked.symbols)]
    if asked.path == SCREENER:
        return []  # the page that is asked for stands in the body
    return [(asked.path, ticker) for ticker in asked.tickers or [""]]
