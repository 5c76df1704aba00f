"""How fast requests are answered, and how long the rest will take. Pure: time is an argument."""

from __future__ import annotations

from collections import deque

WINDOW_S = 300.0
"""The pace is that of the last minutes, silences included: the limit moves."""
ENOUGH_S = 5.0
"""Before that the pace is what the budget allows."""


class Meter:
    """Counts answered requests. `expected_per_s`: the pace until one is known."""

    def __init__(self, *, now_s: float, expected_per_s: float) -> None:
        self.expected_per_s = expected_per_s
        self._begun_s = now_s
        self._answered: deque[tuple[float, int]] = deque([(now_s, 0)])
        self.count = 0

    def answered(self, *, now_s: float) -> None:
        """Note one answer, of whatever kind: it took its slot."""
        self.count += 1
        if now_s - self._answered[-1][0] >= 1.0:
            self._answered.append((now_s, self.count))

    def per_s(self, *, now_s: float) -> float:
        """Return requests a second."""
        while len(self._answered) > 1 and self._answered[1][0] <= now_s - WINDOW_S:
            self._answered.popleft()
        since_s, before = self._answered[0]
        elapsed_s = now_s - since_s
        if now_s - self._begun_s < ENOUGH_S or self.count == before:
            return self.expected_per_s
        return (self.count - before) / elapsed_s

    def eta_s(self, requests: int, *, now_s: float) -> float:
        """Return how long so many requests will take."""
        return requests / self.per_s(now_s=now_s)
