"""What must never be must be seen: the other runs are judged by the silence of the watcher and of the table's judge."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.supervisor_contenders import ROOT, wait_for
from core.program import SETTINGS_VARIABLE
from simulator import testing
from tests.chaos.stage import stage
from tests.chaos.table import wrong_prices
from tests.chaos.watcher import Watcher

PARENT = """
import os
for line in os.environ["LINES"].split(";"):
    os.posix_spawn("/bin/sh", ["sh", "-c", line], os.environ)
input()
"""
SLEEPER = f"exec {sys.executable} -P -m core.child bench.stubs.sleeper"


@contextmanager
def careless_parent(folder: Path, *lines: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs each shell line as if it were the orchestrator of `folder`, and collects nobody."""
    environ = os.environ | {
        SETTINGS_VARIABLE: str(folder / "settings.json"),
        "PYTHONPATH": str(ROOT),
        "SLEEPER_FOLDER": str(folder),
        "SLEEPER_BEAT_S": "1",
        "LINES": ";".join(lines),
    }
    with subprocess.Popen([sys.executable, "-c", PARENT], env=environ, stdin=subprocess.PIPE) as popen:
        try:
            yield popen
        finally:
            popen.kill()


@contextmanager
def watched(folder: Path, orchestrator: int) -> Iterator[Watcher]:
    """A watcher of `folder`; at the end the children that are left are killed."""
    watcher = Watcher(folder)
    watcher.follow(orchestrator)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.end()
        for pid in (pid for pids in watcher.members().values() for pid in pids):
            os.kill(pid, signal.SIGKILL)


def test_a_second_copy_and_one_that_outlives_its_parent_are_seen(tmp_path: Path) -> None:
    with careless_parent(tmp_path, SLEEPER, SLEEPER) as parent, watched(tmp_path, parent.pid) as watcher:
        wait_for(lambda: watcher.duplicates, what="the second copy to be seen")
        assert watcher.survivors == []
        parent.kill()
        wait_for(lambda: watcher.survivors, what="the survivor to be seen")
        assert watcher.zombies == []


def test_a_child_that_nobody_collects_is_seen(tmp_path: Path) -> None:
    with careless_parent(tmp_path, "true") as parent, watched(tmp_path, parent.pid) as watcher:
        wait_for(lambda: watcher.zombies, what="the zombie to be seen")
        assert watcher.duplicates == watcher.survivors == []


def test_one_child_that_runs_is_no_fault(tmp_path: Path) -> None:
    with careless_parent(tmp_path, SLEEPER) as parent, watched(tmp_path, parent.pid) as watcher:
        wait_for(lambda: watcher.members() and watcher.looks > 20, what="twenty looks")
        assert watcher.duplicates == watcher.survivors == watcher.zombies == []


def test_a_wrong_price_an_old_one_and_none_are_seen(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "tickers.txt").write_text("\n".join(testing.SYMBOLS))
    with stage(tmp_path, universe=tmp_path / "tickers.txt") as made:
        wait_for(lambda: made.is_well() and not wrong_prices(made), what="a table that is right", within_s=60)
        assert made.end(signal.SIGTERM) == 0
        with closing(sqlite3.connect(made.database)) as database:
            for ticker, change in (
                ("AAPL", "current_price = current_price * 1.01"),
                ("MSFT", "price_time = '2026-01-05 15:00:00.000000'"),
                ("QQQ", "current_price = NULL"),
            ):
                database.execute(f"UPDATE stocks_stock SET {change} WHERE ticker = ?", (ticker,))
            database.commit()
        assert {each.partition(":")[0] for each in wrong_prices(made)} == {"AAPL", "MSFT", "QQQ"}
