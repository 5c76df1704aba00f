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
import threading
from functools import partial

if sys.platform != "win32":
    import resource

PR_SET_PDEATHSIG = 1  # prctl(2)
OOM_SCORE_ADJUST = 300  # the kernel takes a scanner before the orchestrator: a scanner is restarted in milliseconds
OPEN_FILES = 4096  # a connection a hundred tickers, and room; a process that leaks them is seen before it fails
PARENT_VARIABLE = "TICKERD_PARENT_PID"
LIFE_VARIABLE = "TICKERD_LIFE_FD"
LOCK_VARIABLE = "TICKERD_LOCK_FD"


def bind_to_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform != "win32" and os.getppid() != parent_pid:  # there a virtual environment's Python is in between
        sys.exit("parent process is gone")


def watch_life(descriptor: int) -> None:
    """End this process when the pipe closes that only its parent holds open: where the kernel sends no signal."""
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with, args=(descriptor,), name="life", daemon=True).start()


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(1)


def keep_lock(descriptor: int) -> None:
    """Hold the inherited lock for as long as this process lives; what it forks does not."""
    os.set_inheritable(descriptor, False)
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=partial(os.close, descriptor))


def limit_resources() -> None:
    """No core dump, which would delay the end of a hung process; files as many as they should ever be."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def offer_to_oom_killer() -> None:
    """Raise this process's score; where the system forbids it, the old score stays."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(OOM_SCORE_ADJUST))
    except OSError:
        return


def main() -> None:
    parent, life, lock = (os.environ.pop(name, "") for name in (PARENT_VARIABLE, LIFE_VARIABLE, LOCK_VARIABLE))
    if parent:
        bind_to_parent(int(parent))
    if life:
        watch_life(int(life))
    if lock:
        keep_lock(int(lock))
    limit_resources()
    offer_to_oom_killer()
    faulthandler.enable()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
