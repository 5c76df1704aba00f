"""Who descends from a process, known again by pid and start time, signalled so that a reused pid is never hit.

Decides nothing. A process that left its session and whose parent has ended still bears the mark of its ancestor: the
variable MARK_VARIABLE, which every process inherits.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import psutil

MARK_VARIABLE = "TICKERD_MARK"
GONE = (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess)
STAT_STATE, STAT_STARTED = 0, 19  # fields 3 and 22 of proc_pid_stat(5), counted after the name


@dataclass(frozen=True, slots=True)
class Identity:
    """`started`: in the system's own unit; together with the pid it names one process since the machine was started."""

    pid: int
    started: int


def identity(pid: int) -> Identity | None:
    """Return who has this pid now; None if nobody, or a zombie, has it."""
    stat = _stat(pid)
    return Identity(pid, stat[1]) if stat is not None and stat[0] not in "ZX" else None


def is_zombie(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[0] == "Z"


def children(pid: int) -> list[int]:
    """Return the direct children, zombies included; none if the process is gone."""
    try:
        if _kernel_lists_children():
            return [child for thread in os.listdir(f"/proc/{pid}/task") for child in _listed(pid, thread)]
        return [child.pid for child in psutil.Process(pid).children()]
    except GONE:
        return []


def descendants(pid: int) -> Iterator[int]:
    """Yield the children and theirs."""
    waiting = children(pid)
    while waiting:
        child = waiting.pop()
        yield child
        waiting += children(child)


def belongs(pid: int, leader: int, mark: str) -> bool:
    """Whether the process is of the leader's session or bears its mark."""
    try:
        if sys.platform != "win32" and os.getsid(pid) == leader:
            return True
    except (ProcessLookupError, PermissionError):
        return False
    return mark_of(pid) == mark


def mark_of(pid: int) -> str:
    """Return the mark that the process was started with; empty if it has none that we may see."""
    try:
        return psutil.Process(pid).environ().get(MARK_VARIABLE, "")
    except (*GONE, psutil.AccessDenied, psutil.ZombieProcess, PermissionError):
        return ""


def marked(prefix: str) -> Iterator[int]:
    """Yield every process of this machine whose mark begins so, but not this process."""
    for pid in psutil.pids():
        mark = mark_of(pid) if pid != os.getpid() else ""
        if mark and prefix and mark.startswith(prefix):  # everybody's absent mark begins with an empty one
            yield pid


def send(who: Identity, number: signal.Signals) -> bool:
    """Signal exactly this process; False if that cannot be, above all if another one has its pid now."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(who.pid)
        except ProcessLookupError:
            return False
        try:
            if identity(who.pid) != who:  # asked after the opening: from here on the descriptor names who it is
                return False
            signal.pidfd_send_signal(descriptor, number)
        except (ProcessLookupError, PermissionError):  # gone, or become another user's
            return False
        finally:
            os.close(descriptor)
        return True
    if identity(who.pid) != who:
        return False
    os.kill(who.pid, number)
    return True


@cache
def _kernel_lists_children() -> bool:
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _listed(pid: int, thread: str) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except GONE:
        return []


def _stat(pid: int) -> tuple[str, int] | None:
    """The state's letter and the start time."""
    try:
        if sys.platform != "linux":
            process = psutil.Process(pid)
            return "Z" if process.status() == psutil.STATUS_ZOMBIE else "S", round(process.create_time() * 1e6)
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except GONE:
        return None
    return fields[STAT_STATE].decode(), int(fields[STAT_STARTED])
