"""Counts requests by method, route and status, and how long they took. Keeps no request."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNKNOWN_ROUTE = "unknown"
"""Of every path that is no route: what anybody may ask for must not make a name of its own."""


@dataclass(slots=True)
class Durations:
    """`buckets`: requests by the first of BOUNDS_S that they fit under, the slower ones last."""

    total_s: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))

    def add(self, duration_s: float) -> None:
        self.total_s += duration_s
        self.buckets[bisect_left(BOUNDS_S, duration_s)] += 1

    @property
    def count(self) -> int:
        return sum(self.buckets)


class Traffic:
    """`requests`: by (method, route, status); `durations`: by (method, route); `limited`: 429 by whose limit."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.durations: dict[tuple[str, str], Durations] = {}
        self.limited: Counter[str] = Counter()
        self.under_way = 0

    def note(self, method: str, route: str, status: int, duration_s: float) -> None:
        self.requests[method, route, status] += 1
        known = self.durations.get((method, route))
        if known is None:
            known = self.durations[method, route] = Durations()
        known.add(duration_s)
