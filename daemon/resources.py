"""What the children use, as psutil and the kernel count it. Judges nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A child and its descendants together. `cpu_percent`: of one core, since the previous look."""

    rss_mb: float
    cpu_s: float
    cpu_percent: float


class Meter:
    """Looks at all children in one pass over the process table."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}

    def read(self, pids: Iterable[int], now_s: float) -> dict[int, Usage]:
        """Return the usage of each child that is still there. Each leads a session, which its descendants share."""
        totals = {pid: (0.0, 0.0) for pid in pids}
        for process in psutil.Process().children(recursive=True):
            try:
                leader = os.getsid(process.pid)
                memory, times = process.memory_info(), process.cpu_times()
            except (psutil.Error, OSError):  # ended while we looked
                continue
            if leader in totals:
                rss_mb, cpu_s = totals[leader]
                totals[leader] = (rss_mb + memory.rss / 1e6, cpu_s + times.user + times.system)
        usages = {pid: self._usage(pid, rss_mb, cpu_s, now_s) for pid, (rss_mb, cpu_s) in totals.items() if rss_mb}
        self._last = {pid: (usage.cpu_s, now_s) for pid, usage in usages.items()}
        return usages

    def _usage(self, pid: int, rss_mb: float, cpu_s: float, now_s: float) -> Usage:
        cpu_before_s, before_s = self._last.get(pid, (cpu_s, now_s))
        spent_s, passed_s = max(0.0, cpu_s - cpu_before_s), now_s - before_s
        return Usage(rss_mb=rss_mb, cpu_s=cpu_s, cpu_percent=100 * spent_s / passed_s if passed_s else 0.0)


def oom_kills(vmstat: Path = VMSTAT) -> int:
    """Return how many processes the kernel has killed for want of memory since it booted; 0 if it does not say."""
    try:
        lines = vmstat.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
