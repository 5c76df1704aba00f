"""Another program that reads the table, for `bench.stream`: polls for writes, and keeps when each row became visible.

Usage: python -m bench.stream_watch DATABASE_FILE OUT_FILE; SIGTERM ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stream_market import Told
from bench.stream_scanner import second_of
from core.clock import SystemClock, pause

POLL_S = 0.01
NEWEST = "SELECT max(seq) FROM change_marker WHERE source = 'prices'"
CHANGED = "SELECT ticker, price_time FROM stocks_stock WHERE change_seq > ?"

Write = tuple[float, list[tuple[str, str]]]


def watch(file: str, out: Path) -> None:
    """Note each write until SIGTERM."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    clock, seen = SystemClock(), 0
    writes: list[Write] = []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        while not stopped:
            newest = connection.execute(NEWEST).fetchone()[0] or 0
            if newest > seen:
                at = clock.utc_now().timestamp()
                writes.append((at, connection.execute(CHANGED, [seen]).fetchall()))
                seen = newest
            pause(POLL_S)
    out.write_text(json.dumps(writes))


class Watcher:
    """The running process."""

    def __init__(self, child: subprocess.Popen[bytes], out: Path) -> None:
        self._child, self._out = child, out

    def stop(self) -> list[Write]:
        self._child.terminate()
        self._child.wait()
        return [(at, rows) for at, rows in json.loads(self._out.read_bytes())]


@contextmanager
def watching(file: Path) -> Iterator[Watcher]:
    out = file.with_suffix(".writes")
    command = [sys.executable, "-m", "bench.stream_watch", str(file), str(out)]
    child = subprocess.Popen(command, env=os.environ)
    try:
        yield Watcher(child, out)
    finally:
        child.kill()
        child.wait()


def delays_s(writes: list[Write], told: Told, *, first: int, last: int) -> list[float]:
    """Return, sorted, how long each tick of the seconds from `first` to `last` was on its way into the table.

    Counted from the moment that the market began to send it. A tick that was never seen because a newer one of its
    ticker came with the same write counts as seen with that one.
    """
    seconds: dict[str, int] = {}
    newest: dict[str, int] = {}
    found: list[float] = []
    for at, rows in writes:
        for ticker, text in rows:
            second = seconds.get(text) or seconds.setdefault(text, second_of(text))
            since = newest.get(ticker, second - 1)
            newest[ticker] = second
            for each in range(max(since + 1, first), min(second, last) + 1):
                found.append(at - told.sent_at(ticker, each))
    return sorted(found)


if __name__ == "__main__" and len(sys.argv) == 3:
    watch(sys.argv[1], Path(sys.argv[2]))
