"""A clock that moves only when a test says so: `await clock.advance(3600)` wakes whoever slept that long."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

import pytest

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""Monday, 12:00 in New York."""
ROUNDS = 20
"""Turns of the loop that a woken task gets before time moves on: more than any chain of awaits in a test."""


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
