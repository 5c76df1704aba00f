"""Runs the orchestrator for real, with small programs in place of the scanners."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.clock import SystemClock, pause
from core.errors import NotRunning
from daemon.client import ask
from daemon.launch import BOOTSTRAP

if sys.platform == "win32":
    from core.child_windows import STOP
    from daemon.process_windows import KILLED

KILL = 9
PATIENCE_S = 60.0
"""What must come has come by then, however busy the machine: no test fails for being slow."""
ROOT = Path(__file__).parent.parent
STUBS = ROOT / "tests" / "daemon" / "stubs"
CALM = {"recorder": "stub_beats"}
QUICK = '[market]\ncalendar = "always"\n[logging]\nformat = "text"\n[supervisor]\nstop_timeout_s = 2\n'
"""Settings of a market that is always open."""


def stub_environ(**more: str) -> dict[str, str]:
    """Return an environment in which the stubs can be imported, without settings from outside."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_")}
    return inherited | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(STUBS)))} | more


def kill(pid: int) -> None:
    """End a process at once, as somebody from outside would."""
    if sys.platform == "win32":
        os.kill(pid, KILLED)
    else:
        os.kill(pid, KILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs: an orphan may stay a zombie for seconds, which is as good as gone."""
    if sys.platform == "win32":
        return psutil.pid_exists(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_until(true: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """Return the first value of `true` that holds; AssertionError if none does in time."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + within_s
    while not (value := true()):
        assert clock.monotonic_s() < end_s, "waited in vain"
        pause(0.02)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A running orchestrator and its folder."""

    popen: subprocess.Popen[bytes]
    folder: Path

    @property
    def state_dir(self) -> Path:
        return self.folder / ".tickerd"

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def ask(self, command: str, name: str = "") -> dict[str, Any]:
        return ask(self.state_dir, {"command": command, "name": name}, timeout_s=PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """The status, as soon as the daemon answers."""

        def answered() -> dict[str, Any] | None:
            with suppress(NotRunning):
                return self.ask("status")
            assert self.popen.poll() is None, f"the daemon has ended: {self.said}"
            return None

        return dict(wait_until(answered))

    def process(self, name: str) -> dict[str, Any]:
        return next(dict(each) for each in self.status()["processes"] if each["name"] == name)

    def in_state(self, name: str, state: str, **more: Any) -> dict[str, Any]:
        """Wait until process `name` is in `state` and its other keys are `more`."""

        def reached() -> dict[str, Any] | None:
            found = self.process(name)
            return found if found.items() >= {"state": state, **more}.items() else None

        return dict(wait_until(reached))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state_dir / "events.jsonl").read_text().splitlines()]

    def end(self, number: int = 15, *, within_s: float = PATIENCE_S) -> int:
        """Send a signal, on Windows what stands for it, and return the exit code."""
        if sys.platform != "win32":
            self.popen.send_signal(number)
        elif number == KILL:
            self.popen.kill()
        else:
            assert self.popen.stdin is not None
            self.popen.stdin.write(STOP)
        return self.popen.wait(within_s)


def command(folder: Path, programs: Mapping[str, str], prepare: str) -> list[str]:
    given = json.dumps({"prepare": prepare, "programs": dict(programs)})
    bootstrap = ("-m", BOOTSTRAP) if sys.platform == "win32" else ()  # which hears of a stop over standard input
    program = "run_orchestrator" if bootstrap else str(STUBS / "run_orchestrator.py")
    return [sys.executable, *bootstrap, program, str(folder / "config.toml"), given]


@contextmanager
def running_daemon(
    folder: Path,
    programs: Mapping[str, str] = CALM,
    *,
    prepare: str = "stub_done",
    toml: str = QUICK,
    environ: Mapping[str, str] | None = None,
    before: tuple[str, ...] = (),
) -> Iterator[Daemon]:
    """Start the orchestrator in `folder` and kill it at the end. `before`: words in front of its command."""
    (folder / "config.toml").write_text(toml)
    with (folder / "said").open("wb") as said:
        popen = subprocess.Popen(
            [*before, *command(folder, programs, prepare)],
            cwd=folder,
            env=stub_environ(**(environ or {})),
            stdin=subprocess.PIPE if sys.platform == "win32" else subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            bufsize=0,
        )
    try:
        yield Daemon(popen=popen, folder=folder)
    finally:
        popen.kill()
        popen.wait()
        if popen.stdin is not None:
            popen.stdin.close()
