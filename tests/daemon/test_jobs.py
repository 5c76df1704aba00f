from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from core.clock import SystemClock
from daemon.jobs import Jobs, next_round


def test_the_next_round_time_is_a_multiple_of_the_interval() -> None:
    at = datetime(2026, 11, 23, 15, 1, 2, tzinfo=UTC)
    assert next_round(at, 300) == datetime(2026, 11, 23, 15, 5, tzinfo=UTC)
    assert next_round(next_round(at, 300), 300) == datetime(2026, 11, 23, 15, 10, tzinfo=UTC)


async def test_a_job_made_before_the_clock_went_back_runs_once_it_is_made_anew() -> None:
    ran = asyncio.Event()
    jobs = Jobs(ran.set, interval_s=1, zone_name="America/New_York")
    now = SystemClock().utc_now()
    jobs.start(now + timedelta(hours=1))
    jobs.remake(now)
    planned = jobs._scheduler.get_job("status").next_run_time
    assert timedelta(0) < planned - now <= timedelta(seconds=1)
    await asyncio.wait_for(ran.wait(), 60)
    jobs.stop()


async def test_a_job_that_fails_is_run_again() -> None:
    runs: list[int] = []
    twice = asyncio.Event()

    def fail() -> None:
        runs.append(1)
        if len(runs) == 2:
            twice.set()
        raise ValueError("no")

    jobs = Jobs(fail, interval_s=1, zone_name="America/New_York")
    with capture_logs() as logs:
        jobs.start(SystemClock().utc_now())
        await asyncio.wait_for(twice.wait(), 60)
        jobs.stop()
    assert (logs[0]["event"], logs[0]["error"]) == ("job_failed", "ValueError('no')")
