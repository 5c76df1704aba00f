"""The frame around every child's main coroutine: settings, logs, signals, exit code. Knows nothing of the work."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core import config, logs
from core.errors import EXIT_DONE, EXIT_FAILED, TickerdError
from core.notify import Notifier
from core.settings import Settings

SETTINGS_VARIABLE = "TICKERD_SETTINGS"
T = TypeVar("T")
_wakers: list[tuple[socket.socket, socket.socket]] = []
"""Open until the process ends."""

Main = Callable[[Settings, asyncio.Event, Notifier], Awaitable[int | None]]
"""The work: (settings, stop requested, notifier) -> exit code, None = 0."""
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def child_settings() -> Settings:
    """Return what the orchestrator handed over, or, started by hand, what the configuration file says."""
    if dumped := os.environ.get(SETTINGS_VARIABLE):
        return config.load_dumped(Path(dumped))
    return config.load(None, os.environ, Path.cwd()).settings


def run(
    main: Main,
    *,
    service: str,
    sentences: Mapping[str, logs.Sentence] | None = None,
    loop: LoopFactory | None = None,
) -> int:
    """Run `main` until it ends or SIGTERM or SIGINT asks it to; return the process's exit code.

    `sentences`: events that a person who started it by hand reads in set words. `loop` makes an event loop of the
    caller's own kind.
    """
    try:
        settings = child_settings()
        # Whoever started this as a child stores its lines as they are: they are JSON, whatever a terminal would get.
        style = "json" if SETTINGS_VARIABLE in os.environ else settings.logging.format
        logs.configure(service=service, level=settings.logging.level, style=style, sentences=sentences)
        return run_loop(_guarded(main, settings), loop)
    except TickerdError as error:
        print_error(error)
        return error.exit_code


def run_loop(work: Coroutine[Any, Any, T], factory: LoopFactory | None = None) -> T:
    """Run `work` in a loop of the kind that the libraries need: on Windows the standard one lacks add_reader."""
    standard = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    with asyncio.Runner(loop_factory=factory or standard) as runner:
        return runner.run(work)


async def _guarded(main: Main, settings: Settings) -> int:
    stop = asyncio.Event()
    on_signals(stop.set)
    notifier = Notifier.from_environment()
    log = logs.get_logger(__name__)
    try:
        with lost_errors_logged():
            return await main(settings, stop, notifier) or EXIT_DONE
    except TickerdError as error:
        log.error("process_failed", error=str(error), exit_code=error.exit_code)
        notifier.status(str(error))
        raise
    except Exception as error:
        log.exception("process_crashed")
        notifier.status(f"crashed: {error!r}")
        return EXIT_FAILED


def on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and SIGINT (Windows: also Ctrl-Break). Needs a running loop, in the main thread."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: stop())
        if isinstance(loop, asyncio.SelectorEventLoop):  # the other kind wakes by itself
            _wake_on_signals(loop)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _wake_on_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Python calls a handler between two of its steps, and a waiting loop takes none until something happens."""
    ours, writer = socket.socketpair()
    ours.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno())
    loop.add_reader(ours, ours.recv, 4096)
    _wakers.append((ours, writer))


@contextmanager
def lost_errors_logged() -> Iterator[None]:
    """Within this an error that nobody awaits is one line of the log, not a traceback. Needs a running loop.

    The libraries leave such errors: a WebSocket whose opening is cancelled raises in its own callbacks. What the
    closing loop drops afterwards is no news, and must not follow the reason of the end: that is the last line.
    """
    loop, log = asyncio.get_running_loop(), logs.get_logger(__name__)

    def words(context: dict[str, Any]) -> dict[str, str]:
        return {"reason": context["message"], "error": repr(context.get("exception"))}

    loop.set_exception_handler(lambda _loop, context: log.warning("error_lost", **words(context)))
    try:
        yield
    finally:
        loop.set_exception_handler(lambda _loop, context: log.debug("error_lost", **words(context)))


def print_error(error: TickerdError) -> None:
    """Write the one line that a person sees: `tickerd: FILE: KEY: reason; what would be right`."""
    logs.LineSink(sys.stderr).msg(f"tickerd: {error}")
