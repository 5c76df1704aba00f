"""One process's output on disk, rotated by size: bytes unparsed. Never blocks or fails because the disk is full.

A process that floods is cut down to RATE_BYTES_S: it would busy the disk and rotate away what was written before.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec

from core.clock import Clock, SystemClock
from core.files import BINARY, patiently
from core.settings import Logging

LINE_LIMIT = 2000  # bytes of the last line that are kept for the exit report
RATE_BYTES_S = 1_000_000  # what a process may write in the long run ...
BURST_BYTES = 8_000_000  # ... and on top of that at once
LATELY_S = 60.0  # a flood is over when nothing was left out for this long
COMPLAINTS = ("warning", "error")


class ChildLog:
    """logs/<process>.jsonl and its older parts .1 .. .<keep>.

    `dropped`: writes that the disk refused or that were too much; `dropped_bytes`: what was in them. `disk_refuses`:
    the last write failed.
    """

    def __init__(self, folder: Path, process: str, *, max_mb: float, keep: int, clock: Clock | None = None) -> None:
        self.process, self._clock = process, clock or SystemClock()
        self._fd: int | None = None
        self._size = 0
        self._in_line = False
        self._gap = self._lost_in_line = False
        self._tail = b""
        self._budget_bytes, self._refilled_s = float(BURST_BYTES), self._clock.monotonic_s()
        self._flooded_s: float | None = None
        self.dropped = self.dropped_bytes = 0
        self.disk_refuses = False
        self._set(folder, max_mb, keep)

    def configure(self, logging: Logging) -> None:
        """Go on in another folder or with other limits."""
        self.close()
        self._set(Path(logging.dir), logging.max_mb, logging.keep)

    def _set(self, folder: Path, max_mb: float, keep: int) -> None:
        self._path = folder / f"{self.process}.jsonl"
        self._max_bytes = int(max_mb * 1_000_000)
        self._keep = keep

    def floods(self, now_s: float) -> bool:
        """Whether something was left out lately because it was too much."""
        return self._flooded_s is not None and now_s - self._flooded_s < LATELY_S

    @property
    def last_line(self) -> str:
        """The last line that is not empty; of an event its name and error, and nothing if it was no complaint."""
        lines = [line for line in self._tail.splitlines() if line.strip()]
        return _words(lines[-1])[:LINE_LIMIT] if lines else ""

    def forget_tail(self) -> None:
        """A new process begins: what the old one said last is no longer its last line."""
        self._tail = b""

    def write(self, chunk: bytes) -> None:
        self._remember(chunk)
        if not self._affords(len(chunk)):
            self._flooded_s = self._refilled_s
            self._lose(chunk)
            return
        kept = self._joined(chunk)
        if not kept:
            self._lose(chunk)
            return
        try:
            if self._size + len(kept) > self._max_bytes:
                kept = self._move_on(kept)
            self._append(kept)
            self.disk_refuses = False
        except OSError:
            self.disk_refuses = True
            self._lose(chunk)

    def write_line(self, line: bytes) -> None:
        self.write(line + b"\n")

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _remember(self, chunk: bytes) -> None:
        """Keep the last whole line even while a next one begins."""
        tail = (self._tail + chunk[-2 * LINE_LIMIT :])[-2 * LINE_LIMIT :]
        self._tail = tail

    def _affords(self, size: int) -> bool:
        now_s = self._clock.monotonic_s()
        refilled = self._budget_bytes + (now_s - self._refilled_s) * RATE_BYTES_S
        self._budget_bytes, self._refilled_s = min(float(BURST_BYTES), refilled), now_s
        if size > self._budget_bytes:
            return False
        self._budget_bytes -= size
        return True

    def _lose(self, chunk: bytes) -> None:
        self.dropped += 1
        self.dropped_bytes += len(chunk)
        self._gap, self._lost_in_line = True, chunk[-1:] != b"\n"

    def _joined(self, chunk: bytes) -> bytes:
        """After a gap begin with a whole line, on a line of its own."""
        if self._lost_in_line:
            _rest, end, chunk = chunk.partition(b"\n")
            self._lost_in_line = not end
        if self._gap and chunk:
            self._gap = False
            return b"\n" + chunk if self._in_line else chunk
        return chunk

    def _append(self, chunk: bytes) -> None:
        if self._fd is None:
            self._open()
        assert self._fd is not None
        written = os.write(self._fd, chunk)
        self._size += written
        if written:
            self._in_line = chunk[written - 1 : written] != b"\n"
        if written < len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _move_on(self, chunk: bytes) -> bytes:
        """Begin a new file where a line ends; return what belongs into it. A line that never ends is cut."""
        end = chunk.find(b"\n") + 1 if self._in_line else 0
        if self._in_line and not end and self._size + len(chunk) <= 2 * self._max_bytes:
            return chunk
        if end:
            self._append(chunk[:end])
        self._rotate()
        return chunk[end:]

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        if self._fd is None:
            self._open()
            if self._size == 0:
                return
        self.close()
        free = 1
        while free < self._keep and self._numbered(free).exists():
            free += 1
        for number in range(free - 1, 0, -1):
            os.replace(self._numbered(number), self._numbered(number + 1))
        patiently(lambda: os.replace(self._path, self._numbered(1)))
        self._size, self._in_line = 0, False

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _words(line: bytes) -> str:
    try:
        event = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        return line.decode(errors="replace").strip()
    if event.get("log.level") not in COMPLAINTS:
        return ""
    raised = str(event.get("exception", "")).strip().splitlines()
    error = event.get("error") or (raised[-1] if raised else "")
    return f"{event.get('message')}: {error}" if error else str(event.get("message"))
