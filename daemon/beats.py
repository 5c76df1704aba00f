"""Receives the children's heartbeats on a private datagram socket. Believes only senders that the kernel names."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from core.notify import parse
from core.progress import Progress

CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
DATAGRAM_BYTES = 65_536
BATCH = 100  # datagrams a wake-up, so that a flood leaves the loop its turn
TEXT_LIMIT = 500

Counts = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one datagram says; None: it does not speak of that."""

    ready: bool = False
    beat: bool = False
    stopping: bool = False
    status: str | None = None
    data_at: datetime | None = None
    progress: Progress | None = None
    coverage: dict[str, Counts] | None = None
    facts: dict[str, Any] | None = None


def read_report(datagram: bytes) -> tuple[Report, list[str]]:
    """Return the report and the names of the fields that made no sense, which it leaves out."""
    fields = parse(datagram)
    bad: list[str] = []

    def decoded(name: str, kind: Any) -> Any:
        if name not in fields:
            return None
        try:
            return msgspec.json.decode(fields[name], type=kind)
        except msgspec.MsgspecError:
            bad.append(name)
            return None

    status = fields.get("STATUS")
    report = Report(
        ready=fields.get("READY") == "1",
        beat=fields.get("WATCHDOG") == "1",
        stopping=fields.get("STOPPING") == "1",
        status=status[:TEXT_LIMIT] if status is not None else None,
        data_at=_instant(fields, bad),
        progress=decoded("X_PROGRESS", Progress),
        coverage=decoded("X_COVERAGE", dict[str, Counts]),
        facts=decoded("X_FACTS", dict[str, Any]),
    )
    return report, bad


def _instant(fields: Mapping[str, str], bad: list[str]) -> datetime | None:
    if "X_DATA_AT" not in fields:
        return None
    try:
        at = datetime.fromisoformat(fields["X_DATA_AT"])
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        bad.append("X_DATA_AT")
        return None
    return at


class BeatSocket:
    """`on_report(pid, report, bad_fields)` for each datagram of a known child; others are counted in `strangers`."""

    def __init__(self, *, is_child: Callable[[int], bool], on_report: Callable[[int, Report, list[str]], None]) -> None:
        self._is_child, self._on_report = is_child, on_report
        self.strangers = 0
        self.address = f"@tickerd-{secrets.token_hex(16)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + self.address[1:])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self.receive)

    def receive(self) -> None:
        """Take what has arrived; also called before deadlines are judged, as a beat may wait in the queue."""
        for _ in range(BATCH):
            try:
                datagram, ancillary, _flags, _sender = self._socket.recvmsg(
                    DATAGRAM_BYTES, socket.CMSG_SPACE(CREDENTIALS.size)
                )
            except OSError:
                return
            pid = _sender_pid(ancillary)
            if pid is None or not self._is_child(pid):
                self.strangers += 1
                continue
            self._on_report(pid, *read_report(datagram))

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()


def _sender_pid(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid: int = CREDENTIALS.unpack(data[: CREDENTIALS.size])[0]
            return pid
    return None
