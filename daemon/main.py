"""Starts the daemon: folders, lock, logs, signals, exit code. Supervises nothing itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from core import logs
from core.config import Loaded
from core.errors import TickerdError
from core.files import FileLock, acquire_or_say, make_folder
from core.program import on_signals, run_loop
from core.settings import Logging
from daemon.child_logs import ChildLog
from daemon.control import Refused
from daemon.orchestrator import Orchestrator
from daemon.reload import Reread, reread_of
from daemon.sentences import SENTENCES

SERVICE = "tickerd"
LOCK_FILE = "lock"
STANDARD_FDS = (0, 1, 2)

Build = Callable[[Loaded, Mapping[str, str]], Orchestrator]


def standard(loaded: Loaded, environ: Mapping[str, str]) -> Orchestrator:
    """The orchestrator of the shipped programs."""
    return Orchestrator(loaded, environ=environ)


class OwnLog(ChildLog):
    """What this process itself has to say: to standard error in the style that is set, to its file as JSON."""

    def configure(self, logging: Logging) -> None:
        super().configure(logging)
        also = self.write_line
        logs.configure(service=SERVICE, level=logging.level, style=logging.format, sentences=SENTENCES, also=also)


def run(loaded: Loaded, *, environ: Mapping[str, str], build: Build = standard, reread: Reread | None = None) -> int:
    """Run the daemon until it is told to stop; return the exit code. RetryLater (75) if one runs already.

    `reread` reads the configuration again for a reload: by default the same file, environment and folder.
    """
    _forget_inherited_signals()
    settings = loaded.settings
    state_dir, logs_dir = make_folder(Path(settings.state.dir)), make_folder(Path(settings.logging.dir))
    lock = FileLock(state_dir / LOCK_FILE)
    acquire_or_say(lock, what="an orchestrator")
    lock.write_owner(str(os.getpid()))
    own_log = OwnLog(logs_dir, SERVICE, max_mb=settings.logging.max_mb, keep=settings.logging.keep)
    own_log.configure(settings.logging)
    reread = reread or reread_of(loaded, environ, Path.cwd())
    try:
        return run_loop(_run(build, loaded, environ, reread, own_log, lock))
    finally:
        own_log.close()
        lock.release()
        _let_go_of_broken_pipes()


def _forget_inherited_signals() -> None:
    """Who ignores SIGCHLD is never told how a child ended (wait(2)), and who blocks a signal never hears it."""
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


async def _run(
    build: Build, loaded: Loaded, environ: Mapping[str, str], reread: Reread, own_log: OwnLog, lock: FileLock
) -> int:
    orchestrator = build(loaded, environ)
    orchestrator.attach(reread=reread, own_log=own_log, lock=lock)
    if sys.platform == "win32":
        on_signals(orchestrator.interrupt)
        return await orchestrator.run()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, orchestrator.request_stop)
    loop.add_signal_handler(signal.SIGINT, orchestrator.interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup, and stays so
        terminals = [fd for fd in STANDARD_FDS if os.isatty(fd)]
        loop.add_signal_handler(signal.SIGHUP, _hung_up, orchestrator, terminals)
    return await orchestrator.run()


def _hung_up(orchestrator: Orchestrator, terminals: Sequence[int]) -> None:
    """A request to read the configuration again, unless it comes from a terminal that is gone."""
    if not all(map(os.isatty, terminals)):
        orchestrator.request_stop()
        return
    with suppress(TickerdError, Refused):  # it was logged, and there is nobody else to tell
        orchestrator.reload()


def _let_go_of_broken_pipes() -> None:
    """Python flushes its streams at exit and would turn a broken one into exit code 120."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # started with `>&-`
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
