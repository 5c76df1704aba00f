"""Receives the children's heartbeats on a private datagram socket. Believes only whom the kernel names. POSIX."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Callable

from daemon.reports import Report, read_report

assert sys.platform != "win32"  # its twin is beats_windows.py

CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
DATAGRAM_BYTES = 65_536
BATCH = 100  # datagrams a wake-up, so that a flood leaves the loop its turn


class BeatSocket:
    """`on_report(pid, report, bad_fields)` for each datagram of a known child; others are counted in `strangers`."""

    def __init__(self, *, is_child: Callable[[int], bool], on_report: Callable[[int, Report, list[str]], None]) -> None:
        self._is_child, self._on_report = is_child, on_report
        self.strangers = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._door = _bound(self._socket)
        self.address = f"/proc/{os.getpid()}/fd/{self._door}"
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
        os.close(self._door)


def _bound(receiver: socket.socket) -> int:
    """Give the socket a file without a name; return the descriptor through which it is found.

    Only this user may go through it. An abstract name is open to everybody, and a stranger who fills the queue would
    have healthy children silent; a file in a folder is gone with that folder.
    """
    with tempfile.TemporaryDirectory(prefix="tickerd-") as folder:
        receiver.bind(f"{folder}/beats")
        return os.open(f"{folder}/beats", os.O_PATH)


def _sender_pid(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid: int = CREDENTIALS.unpack(data[: CREDENTIALS.size])[0]
            return pid
    return None
