"""What a scan has to say, in order: an append-only log that any number read, each from where it likes.

A slow reader costs nothing: it has a number, no queue. What was appended is never changed and never taken away before
the log's time is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from core.errors import RetryLater

EntryKind = Literal["progress", "result", "error", "complete"]


MOST_ENTRIES = 100_000
"""Of the logs of ended scans together, 1.5 kB each; the oldest go before their time."""


class NoSuchScan(RetryLater):
    """The scan is unknown here: never begun, or its time is over."""


class TooManyReaders(RetryLater):
    """All streams that the settings allow are in use."""


Data = Mapping[str, Any]


@dataclass
class Entry:
    """`seq` counts from 1 without a gap; `at_s`: monotonic seconds. `told`: the data, or what makes it: most entries of
    a scan are never read."""

    seq: int
    kind: EntryKind
    at_s: float
    told: Data | Callable[[], Data]

    @cached_property
    def data(self) -> Data:
        return self.told() if callable(self.told) else self.told


class ResultLog:
    """One scan's entries; written by one thread, read by many."""

    def __init__(self, scan_id: str) -> None:
        self.scan_id = scan_id
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._complete = False
        self.ended_s: float | None = None

    def append(self, kind: EntryKind, told: Data | Callable[[], Data], *, at_s: float) -> int:
        """Add an entry and wake the readers; return its number. Nothing follows "complete"."""
        return self.extend(kind, [told], at_s=at_s)[-1]

    def extend(self, kind: EntryKind, told: Sequence[Data | Callable[[], Data]], *, at_s: float) -> range:
        """Add entries and wake the readers once; return their numbers."""
        with self._changed:
            if self._complete:
                raise ValueError(f"{self.scan_id} is complete, nothing follows")
            had = len(self._entries)
            self._entries += [Entry(seq, kind, at_s, each) for seq, each in enumerate(told, start=had + 1)]
            if kind == "complete":
                self._complete, self.ended_s = True, at_s
            self._changed.notify_all()
            return range(had + 1, len(self._entries) + 1)

    @property
    def newest(self) -> int:
        return len(self._entries)

    @property
    def complete(self) -> bool:
        return self._complete

    def read(self, since: int = 0, *, limit: int | None = None) -> list[Entry]:
        """Return the entries after number `since`, oldest first."""
        stop = None if limit is None else max(0, since) + limit
        return self._entries[max(0, since) : stop]

    def wait(self, since: int, *, timeout_s: float) -> list[Entry]:
        """Return the entries after `since`, waiting for one; none if the log is complete or nothing came in time."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._entries) > since or self._complete, timeout_s)
            return self.read(since)


class Streams:
    """The logs of one process. `most`: readers at once; `keep_s`: how long a log is kept after its end, and how long
    a reader waits for the next entry before it is let go."""

    def __init__(self, *, most: int, keep_s: float) -> None:
        self._most, self.keep_s = most, keep_s
        self._logs: dict[str, ResultLog] = {}
        self._lock = threading.Lock()
        self.readers = 0

    def open(self, scan_id: str, *, now_s: float) -> ResultLog:
        """Return a new log; those whose time is over are let go."""
        with self._lock:
            ended, held = [one for one in self._logs.values() if one.complete], 0
            for one in reversed(ended):
                held += one.newest
                if held > MOST_ENTRIES or now_s - (one.ended_s or 0.0) > self.keep_s:
                    del self._logs[one.scan_id]
            log = self._logs[scan_id] = ResultLog(scan_id)
            return log

    def of(self, scan_id: str) -> ResultLog:
        with self._lock:
            if scan_id not in self._logs:
                raise NoSuchScan(f"no scan {scan_id} is kept here", right="see `tickerd scan list`")
            return self._logs[scan_id]

    def follow(self, scan_id: str, since: int = 0) -> Iterator[Entry]:
        """Give each entry after `since` as it comes, to the last; ends early if none comes for `keep_s`.

        TooManyReaders at once, not at the first entry.
        """
        log = self.of(scan_id)
        with self._lock:
            if self.readers >= self._most:
                right = "try later, or raise [screener] max_concurrent_streams"
                raise TooManyReaders(f"{self._most} streams are open", right=right)
            self.readers += 1
        reader = self._followed(log, since)
        next(reader)
        return reader

    def _followed(self, log: ResultLog, since: int) -> Iterator[Entry]:
        """The first entry is for `follow` alone: a reader that was let go before it read gives its place back too."""
        try:
            yield Entry(since, "progress", 0.0, {})
            while entries := log.wait(since, timeout_s=self.keep_s):
                yield from entries
                since = entries[-1].seq
        finally:
            with self._lock:
                self.readers -= 1
