"""A rate limit as Yahoo's is believed to be: so many requests in a window, then a penalty. Reads no clock."""

from __future__ import annotations

from collections import defaultdict, deque


class RateLimit:
    """Counts by key; a key is an exit address, or one for everybody. Refused requests do not count."""

    def __init__(self, *, requests: int, window_s: float, penalty_s: float) -> None:
        self._requests = requests
        self._window_s = window_s
        self._penalty_s = penalty_s
        self._taken_s: defaultdict[str, deque[float]] = defaultdict(deque)
        self._until_s: dict[str, float] = {}

    def admits(self, key: str, now_s: float) -> bool:
        """Take a place for one request; False if there is none, and then none for the whole penalty."""
        if now_s < self._until_s.get(key, now_s):
            return False
        taken_s = self._taken_s[key]
        while taken_s and taken_s[0] <= now_s - self._window_s:
            taken_s.popleft()
        if len(taken_s) >= self._requests:
            self._until_s[key] = now_s + self._penalty_s
            return False
        taken_s.append(now_s)
        return True
