"""Starts the daemon: folders, lock, logs, signals, exit code. Supervises nothing itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from core import logs
from core.config import Loaded
from core.files import FileLock, acquire_or_say, make_folder
from daemon.child_logs import ChildLog
from daemon.orchestrator import Orchestrator
from daemon.sentences import SENTENCES

SERVICE = "tickerd"
LOCK_FILE = "lock"

Build = Callable[[Loaded, Mapping[str, str]], Orchestrator]


def standard(loaded: Loaded, environ: Mapping[str, str]) -> Orchestrator:
    """The orchestrator of the shipped programs."""
    return Orchestrator(loaded, environ=environ)


def run(loaded: Loaded, *, environ: Mapping[str, str], build: Build = standard) -> int:
    """Run the daemon until it is told to stop; return the exit code. RetryLater (75) if one runs already."""
    settings = loaded.settings
    state_dir, logs_dir = make_folder(Path(settings.state.dir)), make_folder(Path(settings.logging.dir))
    lock = FileLock(state_dir / LOCK_FILE)
    acquire_or_say(lock, what="an orchestrator")
    lock.write_owner(str(os.getpid()))
    own_log = ChildLog(logs_dir, SERVICE, max_mb=settings.logging.max_mb, keep=settings.logging.keep)
    logs.configure(
        service=SERVICE,
        level=settings.logging.level,
        style=settings.logging.format,
        sentences=SENTENCES,
        also=own_log.write_line,
    )
    try:
        return asyncio.run(_run(loaded, environ, build))
    finally:
        own_log.close()
        lock.release()
        _let_go_of_broken_pipes()


async def _run(loaded: Loaded, environ: Mapping[str, str], build: Build) -> int:
    orchestrator = build(loaded, environ)
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup, and stays so
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, orchestrator.request_stop)
    return await orchestrator.run()


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
