"""What a probe may use: requests of the rate that all processes share, few connections, and some minutes."""

from __future__ import annotations

from core.errors import RetryLater
from scanners.context import Context

MOST_REQUESTS = 14
MOST_CONNECTIONS = 12


class UsedUp(RetryLater):
    """The probe has used what it may."""


class Allowance:
    """Counts what was used. `time_limit_s`: from now on."""

    def __init__(self, context: Context, *, time_limit_s: float) -> None:
        self._context = context
        self._began_s = context.clock.monotonic_s()
        self._ends_s = self._began_s + time_limit_s
        self.requests = self.connections = 0

    @property
    def used_s(self) -> float:
        return self._context.clock.monotonic_s() - self._began_s

    def connect(self) -> None:
        """Count a connection to be opened; UsedUp if it may not."""
        if self.connections >= MOST_CONNECTIONS or self._context.clock.monotonic_s() >= self._ends_s:
            raise UsedUp(f"broken off after {self.connections} connections and {self.used_s:.0f} s")
        self.connections += 1

    async def request(self) -> None:
        """Wait for a slot of the shared rate; UsedUp if there is none in time."""
        budget, clock = self._context.budget, self._context.clock
        while True:
            lane = budget.lane()
            if self.requests >= MOST_REQUESTS or max(clock.monotonic_s(), lane.next_free_s) >= self._ends_s:
                raise UsedUp(f"broken off after {self.requests} requests and {self.used_s:.0f} s")
            await clock.sleep(budget.reserve(now_s=clock.monotonic_s()))
            if not budget.quiet_for_s(clock.monotonic_s()):
                self.requests += 1
                return
