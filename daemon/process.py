"""Starts one child in a session of its own, sees its exit at once, signals it and whoever descends from it. POSIX.

Never decides when. Exits come through a pidfd, not the end of the pipe: a grandchild may hold the pipe open for long
(CPython gh-119710).
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from core.child import LIFE_VARIABLE, LOCK_VARIABLE
from daemon.descendants import MARK_VARIABLE, Identity, belongs, children, descendants, identity, mark_of, send
from daemon.launch import Launch, run_token

assert sys.platform != "win32"  # its twin is process_windows.py

READ_BYTES = 65_536
DRAIN_READS = 4  # at an exit: what is still in the pipe, and not what others go on to write into it
POLL_S = 0.25  # how often an exit is looked for where the system has no pidfd
SPARE_DESCRIPTORS = 8  # kept from new children: for the control socket, the journal and the logs

_numbers = itertools.count(1)
_live: dict[int, str] = {}
"""Who was started here and has not been waited for: pid -> mark."""


class StillHeld(OSError):
    """A copy that this orchestrator did not start still holds the lock of its name."""


@cache
def _life() -> int:
    """The reading end of a pipe whose other end no one but this process holds, until it dies."""
    reader, _writer = os.pipe()
    return reader


def _leave_room() -> None:
    """OSError if a child would take the last descriptors."""
    with ExitStack() as taken:
        for _ in range(SPARE_DESCRIPTORS):
            taken.callback(os.close, os.dup(_life()))


def _locked(path: Path) -> int:
    """Return a descriptor that holds the lock, to be handed over; StillHeld if somebody has it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise StillHeld("another copy of it still runs, which this orchestrator did not start") from error
        raise  # a file system without locks
    return descriptor


def end_strays() -> None:
    """End who descends from a child that is gone, and was not seen at its end: it was given to this process since."""
    for pid in adopted():
        mark = mark_of(pid)
        if mark.startswith(run_token()) and mark not in _live.values() and (who := identity(pid)) is not None:
            send(who, signal.SIGKILL)


def adopted() -> list[int]:
    """Return the children of this process that were not started here: orphans of its descendants."""
    return [pid for pid in children(os.getpid()) if pid not in _live]


def _killed(who: Identity) -> bool:
    """Kill it; False also where no descriptor is left to do it by: `end_strays` comes back to it."""
    with suppress(OSError):
        return send(who, signal.SIGKILL)
    return False


class Process:
    """One running child; `on_exit(returncode)` comes once, `on_output(bytes)` as it writes.

    `kin`: who descended from it at the last look; `survivors`: how many of them had to be ended after its exit.
    """

    def __init__(
        self,
        command: Launch,
        *,
        on_exit: Callable[[int], None],
        on_output: Callable[[bytes], None],
        lock: Path | None = None,
    ) -> None:
        """Start it, holding `lock` until it ends. OSError if the system refuses.

        Main thread only: PDEATHSIG follows the thread that forks.
        """
        assert threading.current_thread() is threading.main_thread()
        self._loop = asyncio.get_running_loop()
        self._on_exit, self._on_output = on_exit, on_output
        self._pidfd: int | None = None
        self.mark = f"{run_token()}.{next(_numbers)}"
        self.kin: frozenset[Identity] = frozenset()
        self.survivors = 0
        _leave_room()
        with ExitStack() as ours, ExitStack() as reading:
            held = [] if lock is None else [_locked(lock)]
            for descriptor in held:  # from now on the child alone holds it
                ours.callback(os.close, descriptor)
            self._pipe, writer = os.pipe()
            ours.callback(os.close, writer)
            reading.callback(os.close, self._pipe)
            os.set_blocking(self._pipe, False)
            self._popen = self._start(command, writer, held)
            reading.pop_all()
        self.pid = self._popen.pid
        _live[self.pid] = self.mark
        self._loop.add_reader(self._pipe, self._read)
        self._watch()

    def _start(self, command: Launch, output: int, held: list[int]) -> subprocess.Popen[bytes]:
        handed = {LIFE_VARIABLE: str(_life()), MARK_VARIABLE: self.mark}
        for descriptor in held:
            handed[LOCK_VARIABLE] = str(descriptor)
        return subprocess.Popen(
            command.arguments,
            env=dict(command.environ) | handed,
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(_life(), *held),
        )

    def look(self) -> list[int]:
        """Remember who descends from it now; return their pids with its own."""
        orphans = [pid for pid in adopted() if belongs(pid, self.pid, self.mark)]
        pids = [*descendants(self.pid), *orphans, *(pid for orphan in orphans for pid in descendants(orphan))]
        found = {who for pid in pids if (who := identity(pid)) is not None}
        self.kin = frozenset(found | {who for who in self.kin if identity(who.pid) == who})
        return [self.pid, *(who.pid for who in self.kin)]

    def ask(self) -> None:
        """Ask the process itself to end; a stopped process must be continued to hear it."""
        self._signal(os.kill, signal.SIGTERM, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the whole group."""
        self._signal(os.killpg, signal.SIGTERM, signal.SIGCONT)

    def abort(self) -> None:
        """Have faulthandler write every thread's stack into the log."""
        self._signal(os.kill, signal.SIGABRT, signal.SIGCONT)

    def kill(self) -> None:
        """End the group and everybody who descends from it."""
        self._end_kin()
        self._signal(os.killpg, signal.SIGKILL)

    def _end_kin(self) -> int:
        with suppress(OSError):  # no descriptor left: then those who are known
            self.look()
        return sum([_killed(who) for who in self.kin])

    def _signal(self, how: Callable[[int, int], None], *numbers: signal.Signals) -> None:
        # The leader is reaped only in `_ended`, so that until then its number names nobody else.
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                for number in numbers:
                    how(self.pid, number)

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
        self.survivors = self._end_kin()
        self._signal(os.killpg, signal.SIGKILL)
        returncode = self._popen.wait()
        del _live[self.pid]
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
