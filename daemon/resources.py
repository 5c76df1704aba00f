"""What the children use, as psutil and the kernel count it. Judges nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

VMSTAT = Path("/proc/vmstat")
BUSY_PERCENT = 90.0  # of one core: a process that does nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A child and its descendants together. `cpu_percent`: of one core, since the previous look; `busy_s`: for how
    long it has been BUSY_PERCENT or more without a break; `open_files`: of the child itself, and how many it may have,
    0 if the system does not say."""

    rss_mb: float
    cpu_s: float
    cpu_percent: float
    busy_s: float = 0.0
    open_files: int = 0
    open_files_limit: int = 0


class Meter:
    """Looks at all children in one pass."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Usage, float]] = {}

    def read(self, families: Mapping[int, Iterable[int]], now_s: float) -> dict[int, Usage]:
        """Return the usage of each child that is still there; `families`: its pid -> its own and its descendants'."""
        usages = {}
        for pid, family in families.items():
            used = [each for each in map(_memory_and_cpu, family) if each]
            if used:
                usages[pid] = self._usage(pid, sum(rss for rss, _ in used), sum(cpu for _, cpu in used), now_s)
        self._last = {pid: (usage, now_s) for pid, usage in usages.items()}
        return usages

    def _usage(self, pid: int, rss_bytes: int, cpu_s: float, now_s: float) -> Usage:
        before, before_s = self._last.get(pid, (None, now_s))
        passed_s = now_s - before_s
        spent_s = max(0.0, cpu_s - before.cpu_s) if before else 0.0
        cpu_percent = 100 * spent_s / passed_s if passed_s else 0.0
        open_files, limit = _files(pid)
        return Usage(
            rss_mb=rss_bytes / 1e6,
            cpu_s=cpu_s,
            cpu_percent=cpu_percent,
            busy_s=before.busy_s + passed_s if before and cpu_percent >= BUSY_PERCENT else 0.0,
            open_files=open_files,
            open_files_limit=limit,
        )


def _memory_and_cpu(pid: int) -> tuple[int, float] | None:
    """Bytes and seconds; None if the process has ended."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return process.memory_info().rss, times.user + times.system
    except psutil.Error:
        return None


def _files(pid: int) -> tuple[int, int]:
    if sys.platform != "linux":
        return 0, 0
    try:
        process = psutil.Process(pid)
        return process.num_fds(), process.rlimit(psutil.RLIMIT_NOFILE)[0]
    except psutil.Error:
        return 0, 0


def oom_kills(vmstat: Path = VMSTAT) -> int:
    """Return how many processes the kernel has killed for want of memory since it booted; 0 if it does not say."""
    try:
        lines = vmstat.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
