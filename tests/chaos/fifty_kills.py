"""`kill -9` of the orchestrator, fifty times at any moment of its life: nobody outlives it, and nobody runs twice.

`CHAOS_KILLS` makes it shorter, `CHAOS_SEED` the same again.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.supervisor_contenders import wait_for
from core.clock import pause
from simulator import testing
from tests.chaos.report import nothing, say, verdicts
from tests.chaos.stage import Stage, stage
from tests.chaos.watcher import Watcher

ALONE_S, START_S = 0.1, 30.0
ALL = {"scanners.prices", "scanners.metrics", "storage.recorder"}


@contextmanager
def watched(made: Stage) -> Iterator[Watcher]:
    watcher = Watcher(made.state_dir)
    watcher.follow(made.pid)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.end()


def one_copy_each(watcher: Watcher) -> bool:
    found = watcher.members()
    return {module for module, pids in found.items() if len(pids) == 1} >= ALL


def test_an_orchestrator_that_is_killed_leaves_nobody_and_its_successor_starts_one_copy_each(tmp_path: Path) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "50"))
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1_000_000)))
    say(f"\nCHAOS_KILLS={kills} CHAOS_SEED={seed}, load {os.getloadavg()[0]:.1f}")
    luck = random.Random(seed)
    (tmp_path / "logs").mkdir()
    (tmp_path / "tickers.txt").write_text("\n".join(testing.SYMBOLS))
    outlived: list[str] = []
    with stage(tmp_path, universe=tmp_path / "tickers.txt") as made, watched(made) as watcher:
        for number in range(kills):
            if number % 2:  # every second one may be hit while it is still starting
                pause(luck.uniform(0.0, 2.0))
            else:
                wait_for(lambda: made.is_well() and one_copy_each(watcher), what="one copy each", within_s=START_S)
            made.end(signal.SIGKILL)
            pause(ALONE_S)
            outlived += [f"kill {number + 1}: {module} {pids}" for module, pids in watcher.members().items()]
            made.start()
            watcher.follow(made.pid)
        wait_for(lambda: made.is_well() and one_copy_each(watcher), what="one copy each", within_s=START_S)
    findings = [
        nothing(f"children alive {ALONE_S:g} s after one of {kills} kills", outlived),
        nothing("two copies of a process", watcher.duplicates),
        nothing("processes that outlived their orchestrator", watcher.survivors),
        nothing("zombies", watcher.zombies),
    ]
    for line in verdicts(findings):
        say(line)
    assert [each for each in findings if not each.right] == []
