"""Tells "Yahoo is down" from "this proxy is down". Pure: outcomes and monotonic seconds in, pauses out.

One exit that is refused says nothing of Yahoo. Five that had rested, and that all say the same, do.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from proxies.model import Cause

WINDOW = 20
"""The last so many outcomes are looked at."""
EXITS = 5
RESTED_S = 120.0
"""An exit not asked through for so long cannot have used up a limit of its own."""
SHARE = 0.6
"""Of the outcomes that came from Yahoo at all."""
PAUSE_S: dict[Cause, float] = {"yahoo_limit": 35.0, "server_error": 10.0, "consent": 10.0}
TRANSPORT: frozenset[Cause] = frozenset(
    {"refused", "timeout", "reset", "connect_denied", "needs_password", "bad_certificate", "proxy_limit"}
)
"""Of these Yahoo knows nothing."""
GROW_AFTER = 40
"""Good answers after which one more request at a time is dared again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """It is not the proxies: pause (0: one is on), and forgive these exits what they said."""

    cause: Cause
    pause_s: float
    exits: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Seen:
    exit: str
    cause: Cause
    rested: bool


class Breaker:
    """Watches outcomes of at most `most` requests at once."""

    def __init__(self, *, most: int) -> None:
        self._most = self._dared = most
        self._tripped_by: Cause | None = None
        self._seen: deque[_Seen] = deque(maxlen=WINDOW)
        self._good = 0
        self.paused_until_s = 0.0

    def is_paused(self, now_s: float) -> bool:
        return now_s < self.paused_until_s

    def note(self, exit_ip: str, cause: Cause, *, idle_s: float, now_s: float) -> Trip | None:
        """Take in an outcome through an exit that had rested for `idle_s`; return a trip if it proves one."""
        pause_s = PAUSE_S.get(cause)
        if self.is_paused(now_s):
            # Under way when it tripped: known already.
            return None if pause_s is None else Trip(cause=cause, pause_s=0.0, exits=frozenset({exit_ip}))
        if cause not in TRANSPORT and pause_s is None:
            self._answered()
        # Only a limit can be an exit's own doing.
        self._seen.append(_Seen(exit_ip, cause, cause != "yahoo_limit" or idle_s >= RESTED_S))
        if pause_s is None or not (self._is_confirmed(self._seen[-1]) or self._is_everywhere(cause)):
            return None
        exits = frozenset(seen.exit for seen in self._seen if seen.cause == cause)
        self._seen.clear()
        if cause == "yahoo_limit" and self._tripped_by is None:
            self._dared = max(1, self._dared // 2)
        self._good, self._tripped_by, self.paused_until_s = 0, cause, now_s + pause_s
        return Trip(cause=cause, pause_s=pause_s, exits=exits)

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now; after a pause one, to see whether it is over."""
        return 1 if self._tripped_by is not None else self._dared

    def _is_confirmed(self, seen: _Seen) -> bool:
        """Whether the one that was to see if it is over says that it is not."""
        return self._tripped_by == seen.cause and seen.rested

    def _answered(self) -> None:
        self._tripped_by = None
        self._good += 1
        if self._good >= GROW_AFTER and self._dared < self._most:
            self._good, self._dared = 0, self._dared + 1

    def _is_everywhere(self, cause: Cause) -> bool:
        same = [seen for seen in self._seen if seen.cause == cause]
        from_yahoo = sum(seen.cause not in TRANSPORT for seen in self._seen)
        return len({seen.exit for seen in same if seen.rested}) >= EXITS and len(same) >= SHARE * from_yahoo
