"""Periodic jobs by APScheduler; made anew after a clock jump, as triggers think in wall time. Decides no times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytz
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from core.logs import get_logger

log = get_logger(__name__)


class Jobs:
    """One job each `interval_s`, at round times of the clock: 10:00, 10:05, ..."""

    def __init__(self, run: Callable[[], None], *, interval_s: int, zone_name: str) -> None:
        self._run, self._interval_s, self._zone = run, interval_s, pytz.timezone(zone_name)
        self._scheduler = AsyncIOScheduler(timezone=self._zone)
        self._scheduler.add_listener(_failed, EVENT_JOB_ERROR)

    def start(self, now: datetime) -> None:
        self._scheduler.start()
        self.remake(now)

    def remake(self, now: datetime) -> None:
        """Forget what was planned and plan from `now` on."""
        trigger = IntervalTrigger(
            seconds=self._interval_s, start_date=next_round(now, self._interval_s), timezone=self._zone
        )
        self._scheduler.add_job(
            self._call, trigger, id="status", replace_existing=True, coalesce=True, misfire_grace_time=None
        )

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _call(self) -> None:
        # A coroutine runs in the loop; a plain function would be given to a thread.
        self._run()


def next_round(now: datetime, interval_s: int) -> datetime:
    """Return the next moment after `now` whose seconds since 1970 are a multiple of `interval_s`."""
    seconds = int(now.timestamp()) // interval_s * interval_s + interval_s
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _failed(event: JobExecutionEvent) -> None:
    log.error("job_failed", job=event.job_id, error=repr(event.exception))
