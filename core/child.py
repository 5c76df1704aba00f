"""Starts a supervised module so that it cannot outlive its parent. Never supervises anything itself.

Run as `python -P -m core.child MODULE [ARGS...]`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
OOM_SCORE_ADJUST = 300  # the kernel takes a scanner before the orchestrator: a scanner is restarted in milliseconds
PARENT_VARIABLE = "TICKERD_PARENT_PID"


def bind_to_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("parent process is gone")


def offer_to_oom_killer() -> None:
    """Raise this process's score; where the system forbids it, the old score stays."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(OOM_SCORE_ADJUST))
    except OSError:
        return


def main() -> None:
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if parent:
        bind_to_parent(int(parent))
    offer_to_oom_killer()
    faulthandler.enable()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
