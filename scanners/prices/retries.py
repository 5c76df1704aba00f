"""When a lost connection is opened again, and what its loss is called. Pure: opens nothing, waits for nothing."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed, InvalidStatus, ProxyError
from websockets.frames import CloseCode

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 30.0
RETRY_SHARE = 0.5
"""A retry comes after at most half the time that the trouble has lasted: who was away 5 s is found 2.5 s later."""
HEALTHY_AFTER_S = 60.0
"""A connection that lived this long starts the backoff anew."""


@dataclass(slots=True)
class Backoff:
    """Pauses of one connection that grow while its trouble lasts."""

    trouble_since_s: float | None = None

    def wait_s(self, *, began_s: float, now_s: float, jitter: float) -> float:
        """Return the pause after an attempt that began at `began_s` and was lost at `now_s`.

        `jitter`: 0 to 1. An attempt that hung has itself been part of the pause.
        """
        lasted_s = now_s - began_s
        if self.trouble_since_s is None or lasted_s > HEALTHY_AFTER_S:
            self.trouble_since_s = now_s
        ceiling_s = min(LONGEST_RETRY_S, max(FIRST_RETRY_S, RETRY_SHARE * (now_s - self.trouble_since_s)))
        wait_s = (0.5 + 0.5 * jitter) * ceiling_s
        return max(wait_s - lasted_s, wait_s * FIRST_RETRY_S / ceiling_s)


@dataclass(slots=True)
class Pace:
    """One place in line for each connection that opens, whichever it is and whether anew or for the first time."""

    gap_s: float
    _free_s: float = 0.0

    def turn_s(self, now_s: float) -> float:
        """Take the next turn; return how many seconds away it is."""
        turn_s = max(now_s, self._free_s)
        self._free_s = turn_s + self.gap_s
        return turn_s - now_s


def cause_of(error: BaseException) -> str:
    """Return the name under which a loss is counted and logged."""
    if isinstance(error, ConnectionClosed):
        return _closed(error)
    if isinstance(error, InvalidStatus):
        return f"status_{error.response.status_code}"
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (socket.gaierror, "dns"),
        (ssl.SSLError, "tls"),
        (ConnectionRefusedError, "refused"),
        (ConnectionResetError, "reset"),
        (TimeoutError, "timeout"),
        (ProxyError, "proxy"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), "unreachable")


def _closed(error: ConnectionClosed) -> str:
    if error.rcvd is not None and (error.sent is None or error.rcvd_then_sent):
        return f"closed_{error.rcvd.code}"
    if error.sent is None:
        return "reset"
    if error.sent.code == CloseCode.INTERNAL_ERROR:
        return "frozen"  # our own keepalive gave up: no pong came
    return "frame_too_large" if error.sent.code == CloseCode.MESSAGE_TOO_BIG else "bad_frame"
