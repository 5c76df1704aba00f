"""Starts one child in a session of its own, sees its exit at once and signals its group. Never decides when.

Exits come through a pidfd, not the end of the pipe: a grandchild may hold the pipe open for long (CPython gh-119710).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.child import PARENT_VARIABLE
from core.program import SETTINGS_VARIABLE

PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}
OWN_NOTIFY_VARIABLES = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
"""What systemd tells this process alone."""
READ_BYTES = 65_536
DRAIN_READS = 64  # at an exit: at most 4 MiB of what is still in the pipe
POLL_S = 0.25  # how often an exit is looked for where the system has no pidfd


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run, and in what surroundings."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    folder: Path


def launch(module: str, *, environ: Mapping[str, str], folder: Path, settings: Path, notify: str) -> Launch:
    """Return how `module` is started as a supervised child of this process."""
    kept = {
        name: value
        for name, value in environ.items()
        if name.lower() not in PROXY_VARIABLES and name not in OWN_NOTIFY_VARIABLES
    }
    own = {PARENT_VARIABLE: str(os.getpid()), SETTINGS_VARIABLE: str(settings), "PYTHONUNBUFFERED": "1"}
    if notify:
        own["NOTIFY_SOCKET"] = notify
    if tree := _tree_to_add():
        own["PYTHONPATH"] = os.pathsep.join(part for part in (tree, environ.get("PYTHONPATH", "")) if part)
    arguments = (sys.executable, "-P", "-m", "core.child", module)
    return Launch(arguments=arguments, environ=kept | own, folder=folder)


def _tree_to_add() -> str:
    """The folder of the packages; empty if they are installed, as site-packages must not precede the library."""
    spec = importlib.util.find_spec("core")
    assert spec is not None and spec.origin is not None
    tree = Path(spec.origin).parent.parent
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return "" if tree.resolve() in installed else str(tree)


class Process:
    """One running child; `on_exit(returncode)` comes once, `on_output(bytes)` as it writes."""

    def __init__(
        self,
        command: Launch,
        *,
        on_exit: Callable[[int], None],
        on_output: Callable[[bytes], None],
    ) -> None:
        """Start it. Main thread only: PDEATHSIG follows the thread that forks. OSError if the system refuses."""
        self._loop = asyncio.get_running_loop()
        self._on_exit, self._on_output = on_exit, on_output
        self._pidfd: int | None = None
        self._pipe, writer = os.pipe()
        try:
            os.set_blocking(self._pipe, False)
            self._popen = subprocess.Popen(
                command.arguments,
                env=dict(command.environ),
                cwd=command.folder,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(writer)
        self.pid = self._popen.pid
        self._loop.add_reader(self._pipe, self._read)
        self._watch()

    def terminate(self) -> None:
        """Ask the group to stop; a stopped process must be continued to hear it."""
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)

    def abort(self) -> None:
        """Have faulthandler write every thread's stack into the log."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGABRT)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        # The leader is reaped only in `_ended`, so that until then its number names no other group.
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or no descriptor left
            self._loop.call_later(POLL_S, self._poll)
        else:
            self._loop.add_reader(self._pidfd, self._ended)

    def _poll(self) -> None:
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            self._loop.call_later(POLL_S, self._poll)
        else:
            self._ended()

    def _ended(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self.kill()  # its own children, if it left any
        returncode = self._popen.wait()
        for _ in range(DRAIN_READS):
            if not self._read():
                break
        self._close_pipe()
        self._on_exit(returncode)

    def _read(self) -> bool:
        """Hand on what the pipe holds; False if it holds nothing now."""
        if self._pipe < 0:
            return False
        try:
            chunk = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self._close_pipe()
            return False
        self._on_output(chunk)
        return True

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
