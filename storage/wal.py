"""Keeps SQLite's write-ahead log from growing without bound. Never waits long for a reader, never loses a commit.

SQLite writes its log back at each 1000 pages, but starts it anew only when no reader is in it: readers that follow one
another without a gap let it grow by some MB a second. Truncating waits for them a moment, under the writers' lock.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from core.logs import get_logger

log = get_logger(__name__)

LIMIT_BYTES = 64 * 2**20
WAIT_S = 0.5  # what a price flush may be late by, and only while the log is too long
EVERY_S = 10.0


class LogKeeper:
    """Watches the log of one SQLite file."""

    def __init__(self, file: Path, *, limit_bytes: int = LIMIT_BYTES, wait_s: float = WAIT_S) -> None:
        self._file, self._limit_bytes, self._wait_s = file, limit_bytes, wait_s
        self._log = file.with_name(file.name + "-wal")
        self._next_s = float("-inf")

    def keep(self, *, now_s: float) -> bool:
        """Empty the log if it is too long; True if that was done. The caller holds the writers' lock."""
        if now_s < self._next_s or (size := self._size()) <= self._limit_bytes:
            return False
        self._next_s = now_s + EVERY_S
        try:
            address = f"{self._file.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=self._wait_s)) as connection:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:  # what was committed is committed; the next transaction tells what is wrong
            log.warning("sqlite_log_not_emptied", size_mb=size / 2**20, reason=str(error))
            return False
        if busy:
            log.warning("sqlite_log_not_emptied", size_mb=size / 2**20, reason="a program reads without a pause")
        return not busy

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0
