"""A night of the daily scanner for tests of its stages: after the close of a Monday, with everything they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any

from core.clock import Clock
from net.client import HttpClient
from scanners.context import Context
from scanners.daily.asker import Asker
from scanners.daily.meter import Meter
from scanners.daily.night import Night
from scanners.lane import DirectLane
from storage.engine import open_reader_engine
from tests.fix_scanners import MONDAY, NOON, ShiftedClock, Stage

AFTER_CLOSE = NOON + timedelta(hours=4, minutes=31)
"""16:31 in New York."""
FRIDAY = date(2026, 11, 20)
QUOTE = "/v7/finance/quote"
SUMMARY = "/v10/finance/quoteSummary/"
CHART = "/v8/finance/chart/"


class MovedClock(ShiftedClock):
    """Real time that a test moves on, so that what it waits for depends on no machine's pace."""

    def __init__(self, now: datetime = AFTER_CLOSE) -> None:
        self._moved_s, self._set_by = 0.0, timedelta()
        super().__init__(now)
        self.deadlines: list[float] = []
        """Of those who sleep, in monotonic seconds."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._moved_s

    def utc_now(self) -> datetime:
        return super().utc_now() + timedelta(seconds=self._moved_s) + self._set_by

    async def sleep(self, duration_s: float) -> None:
        end_s = self.monotonic_s() + duration_s
        self.deadlines.append(end_s)
        try:
            await self._clock.sleep(0)
            while (left_s := end_s - self.monotonic_s()) > 0:
                await self._clock.sleep(min(left_s, 0.01))
        finally:
            self.deadlines.remove(end_s)

    def advance(self, by: timedelta) -> None:
        """Let so much time have passed; who sleeps wakes within 10 ms."""
        self._moved_s += by.total_seconds()

    def jump(self, by: timedelta) -> None:
        """Set the wall clock alone, as an operator or NTP does."""
        self._set_by += by


def after_close(
    stage: Stage, *, speed: float = 1.0, clock: Clock | None = None, once: bool = False, **sections: Any
) -> Context:
    """Surroundings at 16:31 of a Monday on which every ticker but SOHO traded."""
    stage.market.server.advance(NOON + timedelta(seconds=1))
    stage.market.market.stocks["SOHO"].trade_time_s = int((NOON - timedelta(days=4)).timestamp())
    stage.market.server.advance(AFTER_CLOSE)
    return stage.context("daily", once=once, clock=clock or ShiftedClock(AFTER_CLOSE, speed=speed), **sections)


@asynccontextmanager
async def a_night(stage: Stage, context: Context | None = None) -> AsyncIterator[Night]:
    """What the stages are given, before the first of them; the standings are read."""
    context = context or after_close(stage)
    engine = open_reader_engine(context.settings.database.url, service="test")
    http = HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy)
    try:
        async with http:
            lane = DirectLane(context, http)
            with stage.writer() as writer:
                night = Night(
                    context=context,
                    writer=writer,
                    engine=engine,
                    lane=lane,
                    asker=Asker(context, lane),
                    session=MONDAY,
                    before=FRIDAY,
                    meter=Meter(now_s=context.clock.monotonic_s(), expected_per_s=10.0),
                )
                await night.look()
                yield night
    finally:
        engine.dispose()
