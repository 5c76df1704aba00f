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

STOP, ABORT = b"s", b"a"
"""What the parent says: end politely, as SIGTERM asks elsewhere; show every stack and end, as SIGABRT does."""
ABORTED = 3  # what abort() of Windows' C library gives


def obey_parent() -> None:
    """Do what comes over standard input, from a thread of its own."""
    # Without a handler Python drops the signal. A program that wants to end in its own way puts its own in this place.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    threading.Thread(target=_listen, name="parent", daemon=True).start()


def _listen() -> None:
    while word := os.read(0, 1):
        if word == STOP:
            _thread.interrupt_main(signal.SIGTERM)
        elif word == ABORT:
            faulthandler.dump_traceback()
            os._exit(ABORTED)
    os._exit(1)  # the parent is gone


def main() -> None:
    obey_parent()
    faulthandler.enable()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
