"""Whether this host itself stood still: what timed out meanwhile says nothing of a proxy. Judges no proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_S = 0.1
STALL_S = 0.25
"""So much later than asked for is no longer the usual delay of a busy loop."""
TOO_MUCH_S = 0.5
"""Of the three seconds that a proxy has."""


class Stalls:
    """Adds up by how much it was looked at too late, where that was much. `now_s`: monotonic seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s, self._looked_s = now_s, now_s()
        self._stalled_s = 0.0

    @property
    def total_s(self) -> float:
        """For how long this host has stood still in all, with the stall that goes on."""
        return self._stalled_s + self._late_s()

    def look(self) -> None:
        """Is to be called each `LOOK_S` seconds."""
        self._stalled_s += self._late_s()
        self._looked_s = self._now_s()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let the loop look as long as this is open: what keeps the loop from it keeps it from answers too."""
        self._looked_s = self._now_s()
        self._look_later()
        try:
            yield
        finally:
            self._looking.cancel()

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look_and_again)

    def _look_and_again(self) -> None:
        self.look()
        self._look_later()

    def _late_s(self) -> float:
        late_s = self._now_s() - self._looked_s - LOOK_S
        return late_s if late_s >= STALL_S else 0.0
