"""An event loop that looks at its sockets twenty times a second: many small frames then cost one waking together.

Each waking costs more than the frames it brings: the selector, TLS, the tasks. Never delays a timer.
"""

from __future__ import annotations

import asyncio
import gc
import selectors

from core.clock import SystemClock, pause

PACE_S = 0.05
"""So long a frame may lie in its socket: a tenth of what it then waits, in the mean, for the flush of its second."""
GARBAGE = (50_000, 20, 50)
"""Hundreds of frames are held at a time and then gone: by the default of 700 each batch would start a collection."""


class PacedSelector(selectors.DefaultSelector):
    """Asks the system no sooner than `pace_s` after its last answer; another thread's call waits as long."""

    def __init__(self, pace_s: float) -> None:
        super().__init__()
        self._clock, self._pace_s, self._due_s = SystemClock(), pace_s, 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, after the rest of the pause; nothing, where a timer is due before its end."""
        nap_s = self._due_s - self._clock.monotonic_s()
        if nap_s > 0:
            if timeout is not None and timeout <= nap_s:
                pause(timeout)
                return []
            pause(nap_s)
            timeout = None if timeout is None else timeout - nap_s
        found = super().select(timeout)
        self._due_s = self._clock.monotonic_s() + self._pace_s
        return found


def paced_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for a process whose sockets bring thousands of small frames a second, which it sees to."""
    gc.set_threshold(*GARBAGE)
    return asyncio.SelectorEventLoop(PacedSelector(PACE_S))
