"""Clocks for tests: one that moves only when a test says so, and one that a busy machine cannot hurry."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import SystemClock

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""Monday, 12:00 in New York."""
ROUNDS = 20
"""Turns of the loop that a woken task gets before time moves on: more than any chain of awaits in a test."""
LONGEST_STEP_S = 0.05
"""So much real time at most passes between two looks at an `UnhurriedClock`."""


class UnhurriedClock:
    """Real time from `now`, `speed` times as fast; while the machine has no time for the test, it all but stands.

    Without that a limit of the product would be broken by whoever else uses the machine, at twenty times the speed
    twenty times as soon. Who sleeps looks again and again, so that time passes; `monotonic_s`: None is the machine's.
    A test may change `speed` on the way.
    """

    def __init__(self, now: datetime | None = None, *, monotonic_s: float | None = None, speed: float = 1.0) -> None:
        self._clock, self.speed, self._lock = SystemClock(), speed, threading.Lock()
        self._seen_s, self._passed_s = self._clock.monotonic_s(), 0.0
        self._began = now or self._clock.utc_now()
        self._began_s = self._seen_s if monotonic_s is None else monotonic_s

    def monotonic_s(self) -> float:
        return self._began_s + self._look()

    def utc_now(self) -> datetime:
        return self._began + timedelta(seconds=self._look())

    async def sleep(self, duration_s: float) -> None:
        end_s = self.monotonic_s() + duration_s
        await self._clock.sleep(0)
        while (left_s := end_s - self.monotonic_s()) > 0:
            await self._clock.sleep(min(left_s / self.speed, LONGEST_STEP_S / 2))

    def _look(self) -> float:
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._passed_s += min(now_s - self._seen_s, LONGEST_STEP_S) * self.speed
            self._seen_s = now_s
            return self._passed_s


class FakeClock:
    """Implements `core.clock.Clock`. Sleepers wake in the order of their deadlines, each at its own time."""

    def __init__(self, now: datetime = NOON, *, monotonic_s: float = 1000.0) -> None:
        self._now = now
        self._monotonic_s = monotonic_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def utc_now(self) -> datetime:
        return self._now

    async def sleep(self, duration_s: float) -> None:
        if duration_s <= 0:
            await asyncio.sleep(0)  # noqa: TID251  (yields once, as the contract says)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic_s + duration_s, next(self._numbers), woken))
        await woken

    async def advance(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass; return when all that they woke has run."""
        end_s = self._monotonic_s + duration_s
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, woken = heapq.heappop(self._sleepers)
            self._move(due_s)
            if not woken.done():  # a cancelled sleeper stays in the heap
                woken.set_result(None)
            await self._settle()
        self._move(end_s)

    def jump(self, delta: timedelta) -> None:
        """Set the wall clock alone, as an operator or NTP does."""
        self._now += delta

    def _move(self, to_s: float) -> None:
        self._now += timedelta(seconds=to_s - self._monotonic_s)
        self._monotonic_s = to_s

    async def _settle(self) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)  # noqa: TID251  (lets the others run)


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()
