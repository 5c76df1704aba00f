"""Does the stream as a whole still speak? Pure: told of each look, it says what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

DOWN_S = 3.0
"""Without any open connection the stream counts as mute after this; a restart of the other side is shorter."""

Change = Literal["fell_silent", "heard_again"]


class Connection(Protocol):
    """What is looked at of a connection."""

    opened_s: float | None
    last_tick_s: float | None

    def proven(self, *, now_s: float) -> bool: ...


@dataclass(slots=True)
class StreamHealth:
    """Mute is a stream of which no connection brings a price. `heard_s`: when one last did, at first the start."""

    stall_timeout_s: float
    heard_s: float
    is_mute: bool = False
    silent_s: float = 0.0

    def look(self, connections: Sequence[Connection], *, now_s: float) -> Change | None:
        """Return what has changed since the last look."""
        before_s = self.heard_s
        self.heard_s = max([before_s, *(each.last_tick_s for each in connections if each.last_tick_s is not None)])
        is_open = any(each.opened_s is not None for each in connections)
        was_mute, limit_s = self.is_mute, self.stall_timeout_s if is_open else min(DOWN_S, self.stall_timeout_s)
        self.is_mute = now_s - self.heard_s > limit_s
        if self.is_mute:
            self.silent_s = now_s - self.heard_s
        if self.is_mute == was_mute:
            return None
        return "fell_silent" if self.is_mute else "heard_again"


def counts(connections: Sequence[Connection], *, now_s: float) -> dict[str, int]:
    """Return how many connections there are, are open, and are proven whole by their canary."""
    return {
        "connections": len(connections),
        "open": sum(each.opened_s is not None for each in connections),
        "proven": sum(each.proven(now_s=now_s) for each in connections),
    }
