"""Starts a supervised module that hears its parent over standard input. Windows; never supervises anything itself.

Run as `python -P -m core.child_windows MODULE [ARGS...]`. The Job Object ends it with its parent; the end of the pipe
does so too, should it ever be outside of the job.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import _thread
import faulthandler
import os
import runpy
import signal
import threading
from pathlib import Path

from core.errors import EXIT_TRY_LATER
from core.files import FileLock

LOCK_VARIABLE = "TICKERD_LOCK_FILE"
STOP, ABORT = b"s", b"a"
"""What the parent says: end politely, as SIGTERM asks elsewhere; show every stack and end, as SIGABRT does."""
_held: list[FileLock] = []
FREED_S = 2.0  # Windows frees the locks of a process that has ended, but not at once
ABORTED = 3  # what abort() of Windows' C library gives


def obey_parent() -> None:
    """Do what comes over standard input, from a thread of its own.

    Whoever is started from here gets an empty one: on Windows a program that inherits a pipe which another one is
    reading waits at its start until that has read something.
    """
    parent, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    # Without a handler Python drops the signal. A program that wants to end in its own way puts its own in this place.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    threading.Thread(target=_listen, args=(parent,), name="parent", daemon=True).start()


def _listen(parent: int) -> None:
    while word := os.read(parent, 1):
        if word == STOP:
            _thread.interrupt_main(signal.SIGTERM)
        elif word == ABORT:
            faulthandler.dump_traceback()
            os._exit(ABORTED)
    os._exit(1)  # the parent is gone


def keep_lock(path: Path) -> None:
    """Hold the lock of this process's name until it ends; leave at once if another copy has it."""
    path.parent.mkdir(exist_ok=True)
    if not (lock := FileLock(path)).acquire_within(FREED_S):
        sys.stderr.write(f"another copy of it still runs and holds {path}\n")
        sys.exit(EXIT_TRY_LATER)
    _held.append(lock)


def main() -> None:
    obey_parent()
    if path := os.environ.pop(LOCK_VARIABLE, ""):
        keep_lock(Path(path))
    faulthandler.enable()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
