"""Receives the children's heartbeats, each over a pipe that one child alone inherits. Windows; the twin of beats.py."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from core.notify import END
from daemon.reports import Report, read_report

READ_BYTES = 65_536
LONGEST_BYTES = 65_536  # as a datagram elsewhere; more without an end is thrown away
WAITING = 1000  # reports that the loop has not taken; older ones give way


class BeatPipes:
    """`on_report(pid, report, bad_fields)` for each message of a known child."""

    address = ""
    """A child hears of its pipe by its handle, not by a name."""

    def __init__(self, *, is_child: Callable[[int], bool], on_report: Callable[[int, Report, list[str]], None]) -> None:
        self._is_child, self._on_report = is_child, on_report
        self.strangers = 0
        self._arrived: deque[tuple[int, bytes]] = deque(maxlen=WAITING)
        self._loop = asyncio.get_running_loop()

    def listen(self, reader: int, pid: int) -> None:
        """Take what child `pid` says over the descriptor `reader`, until it ends."""
        threading.Thread(target=self._read, args=(reader, pid), name="beats", daemon=True).start()

    def receive(self) -> None:
        """Take what has arrived; also called before deadlines are judged, as a beat may wait in the queue."""
        while self._arrived:
            pid, message = self._arrived.popleft()
            if self._is_child(pid):
                self._on_report(pid, *read_report(message))
            else:
                self.strangers += 1

    def close(self) -> None:
        """The threads end with their children."""
        self._arrived.clear()

    def _read(self, reader: int, pid: int) -> None:
        rest = b""
        with suppress(OSError), os.fdopen(reader, "rb", buffering=0) as pipe:
            while chunk := pipe.read(READ_BYTES):
                *whole, rest = (rest + chunk).split(END)
                rest = rest[-LONGEST_BYTES:]
                self._arrived.extend((pid, message) for message in whole)
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self.receive)
