"""The contenders: tickerd, supervisord, circus, a loop that only respawns. Starts and ends them, measures nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.supervisor_proc import children, command_line, with_variable
from core.clock import SystemClock, pause
from daemon.client import ask

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SLEEPER = "bench.stubs.sleeper"
COMMAND = [sys.executable, "-P", "-m", "core.child", SLEEPER]
COPIES = 3
START_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`command(folder, toml)` writes what configuration it needs and returns the command line.

    `settle_s`: how long a child must have run to count as well; killed earlier, the supervisor would first wait.
    """

    name: str
    command: Callable[[Path, str], list[str]]
    settle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started contender."""

    kind: Kind
    folder: Path
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    def sleepers(self) -> set[int]:
        """Return the children that have become the sleeper and say so."""
        return {pid for pid in children(self.pid) if SLEEPER in command_line(pid) and self.note(pid).exists()}

    def wait_whole(self, what: str = "all its sleepers") -> None:
        """Return when every sleeper is there."""
        wait_for(lambda: len(self.sleepers()) == COPIES, what=f"{self.kind.name}: {what}")

    def note(self, pid: int) -> Path:
        """The file in which a sleeper notes when its first statement ran."""
        return self.folder / "notes" / f"{pid}"

    def copies(self) -> set[int]:
        """Return every living sleeper of this folder, whoever its parent is."""
        return with_variable(f"SLEEPER_FOLDER={self.folder / 'notes'}", SLEEPER)

    def forgive(self) -> None:
        """Have earlier failures forgotten, so that each kill meets a supervisor that has seen none."""
        if self.kind is TICKERD:
            state_dir = self.folder / "state"
            for name in ("prices", "metrics", "recorder"):
                ask(state_dir, {"command": "start", "name": name})


def _tickerd(folder: Path, toml: str) -> list[str]:
    config = folder / "config.toml"
    config.write_text(f'[state]\ndir = "state"\n[market]\ncalendar = "always"\n{toml}')
    return [sys.executable, "-P", str(ROOT / "bench" / "stubs" / "run_tickerd.py"), str(config)]


def _supervisord(folder: Path, _toml: str) -> list[str]:
    config = folder / "supervisord.conf"
    programs = [
        f"[program:sleeper{number}]\ncommand={' '.join(COMMAND)}\nautorestart=true\nstdout_logfile=NONE\n"
        f"stderr_logfile=NONE\nstartretries=1000000\n"
        for number in range(COPIES)
    ]
    head = f"[supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\npidfile={folder}/supervisord.pid\n"
    config.write_text("\n".join([head, *programs]))
    return [str(BIN / "supervisord"), "-n", "-c", str(config)]


def _circus(folder: Path, _toml: str) -> list[str]:
    config = folder / "circus.ini"
    ends = "".join(f"{name} = ipc://{folder}/{name}\n" for name in ("endpoint", "pubsub_endpoint", "stats_endpoint"))
    watchers = [
        f"[watcher:sleeper{number}]\ncmd = {COMMAND[0]}\nargs = {' '.join(COMMAND[1:])}\ncopy_env = true\n"
        for number in range(COPIES)
    ]
    # Its own default for a file is 5 s; 1 s, what its library starts with, makes it the faster rival.
    config.write_text("\n".join([f"[circus]\ncheck_delay = 1\n{ends}", *watchers]))
    return [str(BIN / "circusd"), str(config)]


def _bare(_folder: Path, _toml: str) -> list[str]:
    return [sys.executable, "-P", "-m", "bench.stubs.bare_loop", str(COPIES), *COMMAND]


TICKERD = Kind(name="tickerd", command=_tickerd, settle_s=0.5)
SUPERVISORD = Kind(name="supervisord", command=_supervisord, settle_s=1.2)
CIRCUS = Kind(name="circus", command=_circus, settle_s=0.5)
BARE = Kind(name="bare loop", command=_bare, settle_s=0.5)
PEERS = (SUPERVISORD, CIRCUS)


@contextmanager
def running(kind: Kind, folder: Path, *, beat_s: float, toml: str = "") -> Iterator[Running]:
    """Start a contender in `folder` with all its sleepers; at the end it and every sleeper of the folder are gone."""
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    started = start(kind, folder, beat_s=beat_s, toml=toml)
    try:
        started.wait_whole()
        yield started
    finally:
        end(started)


def start(kind: Kind, folder: Path, *, beat_s: float, toml: str = "") -> Running:
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "SLEEPER_FOLDER": str(folder / "notes"),
        "SLEEPER_BEAT_S": str(beat_s),
    }
    with (folder / "said").open("ab") as said:
        popen = subprocess.Popen(
            kind.command(folder, toml),
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    if os.sched_getscheduler(0) == os.SCHED_FIFO:  # --realtime: before the one who measures, who never rests
        os.sched_setscheduler(popen.pid, os.SCHED_FIFO, os.sched_param(2))
    return Running(kind=kind, folder=folder, popen=popen)


def end(started: Running) -> None:
    """Kill the supervisor first, so that it replaces nobody, then whoever it leaves."""
    started.popen.kill()
    started.popen.wait()
    while left := started.copies():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        pause(0.05)


def wait_for(true: Callable[[], object], *, what: str, within_s: float = START_S) -> None:
    """Return when `true` holds; TimeoutError if it does not in time."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + within_s
    while not true():
        if clock.monotonic_s() > end_s:
            raise TimeoutError(f"waited {within_s:g} s in vain for {what}")
        pause(0.01)
