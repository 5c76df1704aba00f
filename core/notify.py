"""The child's half of supervision: heartbeats by the sd_notify protocol. Never blocks and never fails its caller.

Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html; fields of our own start with `X_`.
Windows has no datagram sockets of this kind: there each message goes, with END after it, through an inherited pipe.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core.clock import utc_text
from core.progress import Progress

if sys.platform == "win32":
    import msvcrt

    import win32pipe

END = b"\0"
HANDLE = "handle:"
"""What the address of a pipe begins with."""


def beat_interval_s(heartbeat_timeout_s: float) -> float:
    """Return how often to beat: two beats may be lost, and no more than needed, as each wakes the orchestrator."""
    return min(5.0, heartbeat_timeout_s / 3)


class Notifier:
    """Tells the supervisor that this process is ready, alive and fed. Without `$NOTIFY_SOCKET` it does nothing."""

    def __init__(self, address: str | None) -> None:
        self._address = ("\0" + address[1:]) if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._pipe: int | None = None
        self._told = ""
        self.failed = 0
        """Messages that could not be delivered: the supervisor is gone or its queue is full."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        return cls(environ.get("NOTIFY_SOCKET"))

    def ready(self) -> None:
        self.send({"READY": "1"})

    def reloading(self, *, monotonic_s: float) -> None:
        """Say that the configuration is being read anew; `ready` says that this is over, however it went."""
        self.send({"RELOADING": "1", "MONOTONIC_USEC": f"{monotonic_s * 1e6:.0f}"})

    def stopping(self, *, within_s: float | None = None) -> None:
        """Say that the end has begun, and, if the supervisor might count on less, how long it may take from now."""
        fields = {"STOPPING": "1"}
        if within_s is not None:
            fields["EXTEND_TIMEOUT_USEC"] = f"{within_s * 1e6:.0f}"
        self.send(fields)

    def status(self, text: str) -> None:
        """Say how it goes; nothing if that was said last."""
        if text != self._told and self.send({"STATUS": text}):
            self._told = text

    def beat(
        self,
        *,
        data_at: datetime | None = None,
        progress: Progress | None = None,
        coverage: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Say "alive", when data last came, how far the work is and what the coverage is."""
        fields = {"WATCHDOG": "1"}
        if data_at is not None:
            fields["X_DATA_AT"] = utc_text(data_at)
        if progress is not None:
            fields["X_PROGRESS"] = msgspec.json.encode(progress).decode()
        if coverage is not None:
            fields["X_COVERAGE"] = msgspec.json.encode(coverage).decode()
        if facts is not None:
            fields["X_FACTS"] = msgspec.json.encode(facts).decode()
        self.send(fields)

    def send(self, fields: Mapping[str, str]) -> bool:
        """Send one datagram of `KEY=value` lines; line ends inside a value become spaces. False if it did not go."""
        if not self._address:
            return False
        text = "\n".join(f"{key}={' '.join(value.splitlines())}" for key, value in fields.items())
        try:
            self._deliver(text.encode(errors="replace"), self._address)
        except OSError:
            self.failed += 1
            return False
        return True

    if sys.platform == "win32":

        def _deliver(self, message: bytes, address: str) -> None:
            if self._pipe is None:
                self._pipe = _pipe_at(address)
            os.write(self._pipe, message + END)

    else:

        def _deliver(self, message: bytes, address: str) -> None:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(message, address)


if sys.platform == "win32":

    def _pipe_at(address: str) -> int:
        """Return the descriptor of the inherited pipe, which from now on never blocks; OSError if there is none."""
        handle = int(address.removeprefix(HANDLE))
        os.set_handle_inheritable(handle, False)
        win32pipe.SetNamedPipeHandleState(handle, win32pipe.PIPE_NOWAIT, None, None)
        return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY)


def parse(datagram: bytes) -> dict[str, str]:
    """Return the fields of one datagram; lines without `=` are left out."""
    lines = datagram.decode(errors="replace").split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)
