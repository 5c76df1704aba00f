"""Takes in the orphans of the children and buries them: as PID 1 of a container, or as a subreaper. Ends nobody."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

from daemon.descendants import children, is_zombie

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
PATIENCE_S = 0.5  # whoever started a process itself waits for it much sooner


def become_subreaper() -> None:
    """Have the kernel give this process the orphans of its descendants, so that none of them is lost sight of."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


class Reaper:
    """Waits for the dead whom nobody else waits for."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def reap(self, now_s: float) -> int:
        """Remove the zombies that are older than PATIENCE_S by our knowledge; return how many they were."""
        if sys.platform == "win32" or not _any_dead():
            self._seen = {}
            return 0
        try:
            dead = [pid for pid in children(os.getpid()) if is_zombie(pid)]
        except OSError:  # no descriptor left: the next look may work
            return 0
        self._seen = {pid: self._seen.get(pid, now_s) for pid in dead}
        old = [pid for pid, seen_s in self._seen.items() if now_s - seen_s >= PATIENCE_S]
        for pid in old:
            with suppress(ChildProcessError):  # its own starter was quicker
                os.waitpid(pid, os.WNOHANG)
        return len(old)


if sys.platform != "win32":

    def _any_dead() -> bool:
        """Look without waiting for it: most of the dead are somebody's, who wants their exit code."""
        try:
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # no children at all
            return False
