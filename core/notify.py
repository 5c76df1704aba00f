"""The child's half of supervision: heartbeats by the sd_notify protocol. Never blocks and never fails its caller.

Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html; fields of our own start with `X_`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core.clock import utc_text
from core.progress import Progress


class Notifier:
    """Tells the supervisor that this process is ready, alive and fed. Without `$NOTIFY_SOCKET` it does nothing."""

    def __init__(self, address: str | None) -> None:
        self._address = ("\0" + address[1:]) if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        self.failed = 0
        """Messages that could not be delivered: the supervisor is gone or its queue is full."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        return cls(environ.get("NOTIFY_SOCKET"))

    def ready(self) -> None:
        self.send({"READY": "1"})

    def stopping(self) -> None:
        self.send({"STOPPING": "1"})

    def status(self, text: str) -> None:
        self.send({"STATUS": text})

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

    def send(self, fields: Mapping[str, str]) -> None:
        """Send one datagram of `KEY=value` lines; line ends inside a value become spaces."""
        if not self._address:
            return
        text = "\n".join(f"{key}={' '.join(value.splitlines())}" for key, value in fields.items())
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(text.encode(errors="replace"), self._address)
        except OSError:
            self.failed += 1


def parse(datagram: bytes) -> dict[str, str]:
    """Return the fields of one datagram; lines without `=` are left out."""
    lines = datagram.decode(errors="replace").split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)
