"""The one place that reads the clock or waits. Durations and deadlines are monotonic; only facts are wall time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument: production passes `SystemClock`, tests one that they advance."""

    def monotonic_s(self) -> float:
        """Return seconds that only ever grow; the zero is arbitrary."""

    def utc_now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    async def sleep(self, duration_s: float) -> None:
        """Wait `duration_s` seconds; 0 or less yields once."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()  # noqa: TID251  (this is the module that may)

    def utc_now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  (this is the module that may)

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(max(0.0, duration_s))  # noqa: TID251  (this is the module that may)


def pause(duration_s: float) -> None:
    """Block this thread for `duration_s` seconds: for command-line waits, never inside an event loop."""
    time.sleep(max(0.0, duration_s))  # noqa: TID251  (this is the module that may)


def utc_text(at: datetime) -> str:
    """Return `2026-11-23T14:30:00.000Z`, the form of every JSON document and log line."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
