"""Takes answers from many workers to the database in small transactions. Never acknowledges what is not committed.

Each worker waits for its own answer, so that a kill loses no more than the requests that were in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from core.errors import RetryLater
from core.logs import get_logger
from scanners.context import Context
from scanners.lane import Stopped

log = get_logger(__name__)
A = TypeVar("A")

MOST_AT_ONCE = 50
DATABASE_RETRY_S = 5.0


class Outbox(Generic[A]):
    """`write` runs in a thread, once at a time, with all that came meanwhile. While the database is away all wait."""

    def __init__(self, context: Context, write: Callable[[Sequence[A]], None]) -> None:
        self._context, self._write = context, write
        self._waiting: list[tuple[A, asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()

    async def put(self, answer: A) -> None:
        """Return once `answer` is committed; Stopped if asked to stop while the database is away."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, done))
        while not done.done():
            async with self._writing:
                if not done.done():
                    await self._flush()
        done.result()

    async def _flush(self) -> None:
        taken, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        while True:
            try:
                await asyncio.to_thread(self._write, [answer for answer, _ in taken])
            except RetryLater as error:
                log.warning("writing_delayed", error=str(error), answers=len(taken), retry_s=DATABASE_RETRY_S)
                self._context.pulse.facts["database"] = f"unreachable: {error}"
                if await self._context.wait(DATABASE_RETRY_S):
                    for _, done in taken:
                        done.set_exception(Stopped("asked to stop"))
                    return
            else:
                self._context.pulse.facts.pop("database", None)
                for _, done in taken:
                    done.set_result(None)
                return
