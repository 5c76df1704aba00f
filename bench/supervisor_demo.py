"""How long the table goes without prices after `kill -9` of the price scanner in the demo, and where the time goes."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.supervisor_contenders import wait_for
from bench.supervisor_proc import children, command_line, tail
from core.clock import SystemClock, pause
from daemon.client import ask

PARTS = ("detect_s", "import_s", "connect_s", "first_flush_s", "total_s")
PROGRAM = "scanners.prices"
POLL_S = 0.002
GIVE_UP_S = 30.0
NEWEST = "SELECT max(price_updated_at) FROM stocks_stock WHERE price_source = 'stream'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Seconds: `detect` the replacement is exec'ed, `import` it opens its first connection, `connect` it says that it
    has begun and has a stream, `first_flush` prices are committed."""

    detect_s: float
    import_s: float
    connect_s: float
    first_flush_s: float

    @property
    def total_s(self) -> float:
        return self.detect_s + self.import_s + self.connect_s + self.first_flush_s


def measure(folder: Path, rounds: int, luck: random.Random) -> list[Gap]:
    """Run the demo and kill its price scanner `rounds` times."""
    folder.mkdir()
    with _demo(folder):
        gaps = []
        for _ in range(rounds):
            ask(folder / "state", {"command": "start", "name": "prices"})  # earlier failures are forgotten
            pause(1 + 2 * luck.random())
            gaps.append(_killed(folder))
        return gaps


@contextmanager
def _demo(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-P", "-m", "cli.main", "demo", "--folder", str(folder)]
    with (folder / "said").open("wb") as said:
        demo = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: "The table is full" in (folder / "said").read_text(), what="a full table", within_s=90)
        yield
    finally:
        demo.terminate()
        demo.wait()


def _killed(folder: Path) -> Gap:
    status = ask(folder / "state", {"command": "status"})
    victim = next(each["pid"] for each in status["processes"] if each["name"] == "prices")
    log = folder / "logs" / "prices.jsonl"
    size = log.stat().st_size
    began_s = SystemClock().monotonic_s()
    os.kill(victim, signal.SIGKILL)
    new, execed_s = _until(lambda: _newcomer(status["pid"], victim))
    with closing(sqlite3.connect(f"file:{folder}/tickerd.db?mode=ro", uri=True)) as database:
        before = database.execute(NEWEST).fetchone()  # the old one's last: it ended before the new one was started
        _, asked_s = _until(lambda: _connections(new))
        _until(lambda: '"prices_started"' in tail(log, size))
        _, connected_s = _until(lambda: _connections(new, psutil.CONN_ESTABLISHED))
        _, committed_s = _until(lambda: database.execute(NEWEST).fetchone() > before)
    return Gap(
        detect_s=execed_s - began_s,
        import_s=asked_s - execed_s,
        connect_s=connected_s - asked_s,
        first_flush_s=committed_s - connected_s,
    )


def _until(look: Callable[[], Any]) -> tuple[Any, float]:
    """Return the first value that is true, and the monotonic second at which it was."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + GIVE_UP_S
    while not (value := look()):
        if clock.monotonic_s() > end_s:
            raise TimeoutError(f"the price scanner has not come back within {GIVE_UP_S:g} s")
        pause(POLL_S)
    return value, clock.monotonic_s()


def _newcomer(orchestrator: int, victim: int) -> int | None:
    found = (pid for pid in children(orchestrator) if pid != victim and PROGRAM in command_line(pid))
    return next(found, None)


def _connections(pid: int, state: str | None = None) -> list[Any]:
    try:
        found = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        raise ChildProcessError("the price scanner has ended again") from None
    return [each for each in found if state in (None, each.status)]
