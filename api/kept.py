"""A dear answer kept for a moment: however many ask, it is made once. Knows nothing of what it keeps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from core.clock import Clock

T = TypeVar("T")


class Kept(Generic[T]):
    """Good for `age_s`; who asks while it is being made gets that one. What fails is not kept."""

    def __init__(self, make: Callable[[], Awaitable[T]], *, age_s: float, clock: Clock) -> None:
        self._make, self._age_s, self._clock = make, age_s, clock
        self._value: T | None = None
        self._made_s = -math.inf
        self._making = asyncio.Lock()

    async def get(self) -> T:
        async with self._making:
            if self._value is None or self._clock.monotonic_s() - self._made_s >= self._age_s:
                self._value = await self._make()
                self._made_s = self._clock.monotonic_s()
            return self._value
