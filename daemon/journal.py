"""The event journal: a capped file of JSON lines, each on the disk before the next step. Never stops its caller.

`source` names the state folder and `seq` counts its events, so that a reader can tell what it has seen already.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from core.clock import utc_text
from core.files import BINARY, patiently, read_text, write_atomic
from daemon.lifecycle import Change

OWN = "tickerd"
FILE = "events.jsonl"
SOURCE_FILE = "events.source"
MAX_BYTES = 8 * 1024 * 1024  # about 30,000 events: months of ordinary days
TAIL_BYTES = 65_536


class _Numbered(msgspec.Struct):
    seq: int


class Journal:
    """`failed`: events that the disk refused. Their numbers are not given again, so that a gap shows.

    `disk_refuses`: the last one was.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = folder / FILE
        self._max_bytes = max_bytes
        self.failed, self.disk_refuses = 0, False
        self._seq = max(_last_seq(self._path), _last_seq(self._older))
        self.source = self._named(folder)

    @property
    def _older(self) -> Path:
        return self._path.with_name(f"{FILE}.1")

    def _named(self, folder: Path) -> str:
        try:
            return _source(folder, fresh=self._seq == 0)
        except OSError:  # a full disk: the events of this run bear a name that no other run has
            self.failed += 1
            return secrets.token_hex(8)

    def write(self, change: Change, at: datetime) -> None:
        """Append one event and wait until the disk has it; a full disk is counted."""
        self._put(msgspec.to_builtins(change), at)

    def write_own(self, event: str, *, pid: int, at: datetime, detail: str | None = None) -> None:
        """Append an event of the orchestrator itself."""
        own = {"process": OWN, "event": event, "pid": pid, "detail": detail}
        self._put(dict.fromkeys(Change.__dataclass_fields__) | own, at)

    def _put(self, fields: dict[str, Any], at: datetime) -> None:
        self._seq += 1
        head = {"source": self.source, "seq": self._seq, "at": utc_text(at)}
        line = msgspec.json.encode(head | fields) + b"\n"
        try:
            self._rotate(len(line))
            self._append(line)
            self.disk_refuses = False
        except OSError:
            self.failed += 1
            self.disk_refuses = True

    def _append(self, line: bytes) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | BINARY, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and _last_byte(fd) != b"\n":  # a part of a line, from a crash or a full disk
                line = b"\n" + line
            written = os.write(fd, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
            os.fsync(fd)
        finally:
            os.close(fd)

    def _rotate(self, coming_bytes: int) -> None:
        if self._path.exists() and self._path.stat().st_size + coming_bytes > self._max_bytes:
            patiently(lambda: os.replace(self._path, self._older))


def _last_byte(fd: int) -> bytes:
    os.lseek(fd, -1, os.SEEK_END)
    return os.read(fd, 1)


def _source(folder: Path, *, fresh: bool) -> str:
    """The known name; a new one for a journal that begins anew, as its numbers do."""
    path = folder / SOURCE_FILE
    if not fresh and path.exists() and (known := read_text(path).strip()):
        return known
    source = secrets.token_hex(8)
    write_atomic(path, source.encode() + b"\n", mode=0o600)
    return source


def _last_seq(path: Path) -> int:
    """The number of the last whole line; 0 if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:  # not there, or not to be read: then it begins anew, under a new name
        return 0
    for line in reversed(lines):
        try:
            return msgspec.json.decode(line, type=_Numbered).seq
        except msgspec.MsgspecError:
            continue
    return 0
