"""The demo's two halves, a practice market and the daemon, each of which can be hurt. Hurts nobody itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.supervisor_proc import state as process_state
from core.clock import pause
from core.errors import NotRunning
from core.files import write_atomic
from daemon.client import ask
from simulator import testing
from tests.fix_cli import clean_environ

ROOT = Path(__file__).parent.parent.parent
CLOCK_LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
LOG_ROOM = "24m"
HEARTBEAT_S, READY_TIMEOUT_S, BACKOFF_MAX_S = 6.0, 10.0, 4.0
CONFIG = """\
[network]
proxy = "{proxy}"
ca_file = "{ca_file}"
start_requests_per_s = 20.0
max_requests_per_s = 50.0

[market]
calendar = "always"

[universe]
file = "{universe}"

[prices]
stall_timeout_s = 15.0

[metrics]
interval_s = 60.0
direct = "only"

[supervisor]   # ten minutes hold what else takes a week
heartbeat_timeout_s = {heartbeat_s}
ready_timeout_s = {ready_timeout_s}
backoff_max_s = {backoff_max_s}
breaker_count = 1000

[state]
dir = "state"

[logging]
dir = "logs"
format = "json"
max_mb = 1.0
keep = 2

[api]
enabled = false
"""


class Stage:
    """`starts` counts the orchestrators so far; `popen` is the last."""

    def __init__(self, folder: Path, market: testing.PracticeProcess, *, universe: Path) -> None:
        self.folder, self.market = folder, market
        self.state_dir, self.logs = folder / "state", folder / "logs"
        self.config, self.database = folder / "config.toml", folder / "tickerd.db"
        self.text = CONFIG.format(
            proxy=market.proxy_url,
            ca_file=market.ca_file,
            universe=universe,
            heartbeat_s=HEARTBEAT_S,
            ready_timeout_s=READY_TIMEOUT_S,
            backoff_max_s=BACKOFF_MAX_S,
        )
        self.write_config(self.text)
        self.step_clock(0)
        self.starts = 0
        self.popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    def start(self) -> None:
        """Start the orchestrator."""
        command = [sys.executable, "-P", str(ROOT / "tests" / "chaos" / "stepped.py"), "run", "--config"]
        with (self.folder / "said").open("ab") as said:
            self.popen = subprocess.Popen(
                [*command, str(self.config)],
                cwd=self.folder,
                env=clean_environ(PYTHONPATH=str(ROOT), **self._clock_environ()),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.starts += 1

    def end(self, number: signal.Signals, *, within_s: float = 15.0) -> int:
        """Send a signal and return the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(within_s)

    def step_clock(self, offset_s: int) -> None:
        """Let the orchestrator's wall clock be off by so much."""
        write_atomic(self.folder / "clock", f"{offset_s:+d}\n".encode())

    def _clock_environ(self) -> dict[str, str]:
        if CLOCK_LIBRARY is None:
            return {}
        return {
            "LD_PRELOAD": str(CLOCK_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def write_config(self, text: str) -> None:
        write_atomic(self.config, text.encode())

    def tickerd(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line beside the daemon."""
        command = [sys.executable, "-P", "-m", "cli.main", *words, "--config", str(self.config)]
        environ = clean_environ(PYTHONPATH=str(ROOT))
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    def ask(self, command: str, name: str = "", *, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the orchestrator's answer; empty while nobody answers."""
        with suppress(NotRunning):
            return ask(self.state_dir, {"command": command, "name": name}, timeout_s=timeout_s)
        return {}

    def wanted(self) -> dict[str, int | None]:
        """Return process -> pid of those that should run."""
        return {each["name"]: each["pid"] for each in self.ask("status").get("processes", []) if each["wanted"]}

    def is_well(self) -> bool:
        """Whether every process that should run does, none is held, and none stands still."""
        status = self.ask("status")
        return status.get("state") == "running" and all(
            each["state"] == "running" and process_state(each["pid"]) not in ("T", "Z", "")
            for each in status["processes"]
            if each["wanted"] or each["state"] in ("starting", "stopping", "held")
        )

    def in_words(self) -> str:
        """Return how each process that should run is, for whoever must find out why it does not."""
        status = self.ask("status")
        keys = ("name", "state", "pid", "reason", "last_exit")
        unwell = [{key: each[key] for key in keys} for each in status.get("processes", []) if each["wanted"]]
        return f"exit code {self.popen.poll()}, {status.get('state')}, {unwell}, {status.get('alerts')}"


@contextmanager
def log_disk(folder: Path) -> Iterator[bool]:
    """Give the logs a small disk of their own; False where only root could."""
    logs = folder / "logs"
    logs.mkdir(mode=0o700)
    options = ["-t", "tmpfs", "-o", f"size={LOG_ROOM},mode=700", "tickerd-chaos", str(logs)]
    mounted = os.geteuid() == 0 and subprocess.run(["mount", *options], check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            shutil.copytree(logs, folder / "logs-kept")
            subprocess.run(["umount", "--lazy", str(logs)], check=False)


@contextmanager
def stage(folder: Path, *, universe: Path) -> Iterator[Stage]:
    """Start a practice market and an orchestrator beside it; whatever happens, none of them is left behind."""
    words = ("--universe", str(universe), "--calendar", "always", "--log-level", "warning")
    with testing.process(folder, *words) as market:
        made = Stage(folder, market, universe=universe)
        made.start()
        try:
            yield made
        finally:
            with suppress(ProcessLookupError):
                os.kill(made.pid, signal.SIGCONT)
            made.popen.kill()
            made.popen.wait()
            pause(0.2)
