"""One process's output on disk, rotated by size: bytes unparsed. Never blocks or fails because the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

LINE_LIMIT = 2000  # bytes of the last line that are kept for the exit report
COMPLAINTS = ("warning", "error")


class ChildLog:
    """logs/<process>.jsonl and its older parts .1 .. .<keep>. `dropped`: writes that the disk refused."""

    def __init__(self, folder: Path, process: str, *, max_mb: float, keep: int) -> None:
        self._path = folder / f"{process}.jsonl"
        self._max_bytes = int(max_mb * 1_000_000)
        self._keep = keep
        self._fd: int | None = None
        self._size = 0
        self._in_line = False
        self._tail = b""
        self.dropped = 0

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
        try:
            if self._size + len(chunk) > self._max_bytes:
                chunk = self._move_on(chunk)
            self._append(chunk)
        except OSError:
            self.dropped += 1

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

    def _append(self, chunk: bytes) -> None:
        if self._fd is None:
            self._open()
        assert self._fd is not None
        written = os.write(self._fd, chunk)
        self._size += written
        self._in_line = chunk[:written][-1:] not in (b"\n", b"")

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
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
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
        os.replace(self._path, self._numbered(1))
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
