"""The shipped daily scanner, killed in the middle: the next start goes on, and asks for nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from core.clock import SystemClock
from simulator import testing
from tests.fix_daily import CHART, SUMMARY
from tests.fix_scanners import Supervisor, eventually, staged

THREADS = 2
LONG_S = 60.0


async def test_what_is_killed_goes_on_and_asks_again_for_no_more_than_was_under_way(
    tmp_path: Path, sqlite_file: Path, supervisor: Supervisor
) -> None:
    async with testing.running(tmp_path, calendar="XNYS") as market:
        stage = staged(market, tmp_path, sqlite_file, clock=SystemClock(), calendar="XNYS")
        market.fault("slow_answer", delay_s=0.05)
        for path, answered in ((SUMMARY + "*", 3), (CHART + "*", 5)):
            process = stage.start("scanners.daily", supervisor, daily={"threads": THREADS})
            await eventually(lambda: len(market.requests(path=path)) >= answered, timeout_s=LONG_S)  # noqa: B023
            process.kill()
            await asyncio.to_thread(process.communicate)
        process = stage.start("scanners.daily", supervisor, daily={"threads": THREADS})
        _, said = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0, said
        summaries = Counter(each.path for each in market.requests(path=SUMMARY + "*"))
    assert [run["status"] for run in stage.runs("daily")] == ["aborted", "aborted", "complete"]
    assert summaries.keys() == {SUMMARY + ticker for ticker in stage.tickers}
    assert sum(summaries.values()) <= len(stage.tickers) + THREADS
    left = "quote IS NULL OR fundamentals IS NULL OR (chart_need IS NOT NULL AND chart IS NULL)"
    assert stage.rows(f"SELECT ticker FROM daily_progress WHERE {left}") == []
    assert len(stage.rows("SELECT DISTINCT ticker FROM stocks_daily_bar")) == len(stage.tickers)
