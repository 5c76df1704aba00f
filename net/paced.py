"""An event loop that, while much comes, looks at its sockets twenty times a second: many frames then cost one waking.

Each waking costs more than the small frames it brings: the selector, TLS, the tasks. Never delays a timer.
"""

from __future__ import annotations

import asyncio
import gc
import selectors

from core.clock import SystemClock, pause

PACE_S = 0.05
"""So long a frame may lie in its socket: a tenth of what it then waits, in the mean, for the flush of its second."""
BUSY = 64
"""So many ready sockets in one such time make it a busy one. Handshakes, a few at a time, do not and are not slowed."""
GARBAGE = (50_000, 20, 50)
"""Hundreds of frames are held at a time and then gone: by the default of 700 each batch would start a collection."""


class PacedSelector(selectors.DefaultSelector):
    """After a busy `pace_s` asks the system only once in each; another thread's call waits as long."""

    def __init__(self, pace_s: float, *, busy: int = BUSY) -> None:
        super().__init__()
        self._clock, self._pace_s, self._busy = SystemClock(), pace_s, busy
        self._ready, self._ends_s, self._due_s = 0, 0.0, 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, after the rest of the pause; nothing, where a timer is due before its end."""
        nap_s = self._due_s - self._clock.monotonic_s() if self._due_s else 0.0
        if nap_s > 0:
            if timeout is not None and timeout <= nap_s:
                pause(timeout)
                return []
            pause(nap_s)
            timeout = None if timeout is None else timeout - nap_s
        found = super().select(timeout)
        self._count(len(found))
        return found

    def _count(self, ready: int) -> None:
        now_s = self._clock.monotonic_s()
        self._ready += ready
        if now_s >= self._ends_s:
            self._ends_s = now_s + self._pace_s
            self._due_s = self._ends_s if self._ready >= self._busy else 0.0
            self._ready = 0


def paced_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for a process whose sockets bring thousands of small frames a second, which it sees to."""
    gc.set_threshold(*GARBAGE)
    return asyncio.SelectorEventLoop(PacedSelector(PACE_S))
