"""What /proc says of processes: children, command lines, states, costs. Signals nobody."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError)


def read(pid: int, name: str) -> str:
    """Return a file of the process; empty once the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().decode(errors="replace")
    except GONE:
        return ""


def children(pid: int) -> set[int]:
    """Return the children that the main thread of `pid` has started, zombies included."""
    return {int(word) for word in read(pid, f"task/{pid}/children").split()}


def command_line(pid: int) -> str:
    return read(pid, "cmdline").replace("\0", " ").rstrip()


def state(pid: int) -> str:
    """Return the state's letter (proc(5)); empty once the process is gone."""
    return (read(pid, "stat").rpartition(")")[2].split() or [""])[0]


def start_time(pid: int) -> str:
    """Return when the process began, in ticks since boot: with its number it names one process for good."""
    return (read(pid, "stat").rpartition(")")[2].split() or [""] * 20)[19]


def is_alive(pid: int) -> bool:
    """Whether the process still runs: an orphan may stay a zombie until process 1 looks."""
    return state(pid) not in ("", "Z", "X", "x")


def living() -> Iterator[int]:
    """Yield every process that runs."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and is_alive(int(entry)):
            yield int(entry)


def with_variable(variable: str, word: str) -> set[int]:
    """Return the living processes whose command line holds `word` and whose environment holds `variable`."""
    return {
        pid for pid in living() if word in command_line(pid) and variable in f"\0{read(pid, 'environ')}".split("\0")
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process has used since its start; `wakeups`: voluntary context switches of all its threads."""

    cpu_s: float
    wakeups: int
    rss_mb: float
    pss_mb: float


def cost(pid: int) -> Cost:
    fields = read(pid, "stat").rpartition(")")[2].split()
    sizes = read(pid, "smaps_rollup")
    threads = os.listdir(f"/proc/{pid}/task")
    return Cost(
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        wakeups=sum(_number("voluntary_ctxt_switches", read(pid, f"task/{each}/status")) for each in threads),
        rss_mb=_number("Rss", sizes) / 1024,
        pss_mb=_number("Pss", sizes) / 1024,
    )


def _number(name: str, text: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else 0


def tail(file: Path, offset: int) -> str:
    """Return what a growing file holds behind `offset`; empty while it does not exist."""
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
