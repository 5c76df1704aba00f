from __future__ import annotations

import os
import subprocess
import sys

from daemon.descendants import is_zombie
from daemon.reaper import Reaper
from tests.fix_daemon import ROOT, wait_until

ADOPTS = """
import os, subprocess, sys
from core.clock import pause
from daemon.descendants import children, is_zombie
from daemon.reaper import Reaper, become_subreaper

become_subreaper()
for _ in range(8):  # each leaves an orphan that ends a little later
    subprocess.run([sys.executable, "-S", "-c", "import os, time\\nif os.fork() == 0: time.sleep(0.1)"], check=True)
reaper = Reaper()
adopted = len(children(os.getpid()))
while any(not is_zombie(pid) for pid in children(os.getpid())):
    pause(0.01)
print(adopted > 0, reaper.reap(10.0), reaper.reap(10.4), reaper.reap(10.5) > 0, len(children(os.getpid())))
"""


def test_orphans_are_taken_in_and_none_stays_a_zombie() -> None:
    done = subprocess.run([sys.executable, "-c", ADOPTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["True", "0", "0", "True", "0"]


def test_a_process_that_somebody_waits_for_is_left_to_them() -> None:
    others = Reaper()  # what other tests of this process have left
    others.reap(0.0)
    others.reap(100.0)
    own = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    wait_until(lambda: is_zombie(own.pid))
    reaper = Reaper()
    assert reaper.reap(10.0) == 0
    assert reaper.reap(10.4) == 0
    assert own.wait() == 7
    assert reaper.reap(20.0) == 0


def test_without_children_there_is_nothing_to_do() -> None:
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0
        return
    os._exit(Reaper().reap(1.0))
