"""A bell between processes: who rings wakes who listens at once. Carries no word, so that nothing is lost with it.

A named pipe in the state folder: no length of path matters, and only its user may ring. Where the system has none
nobody hears anything, and who listens looks as often as it would anyway.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.clock import Clock
from core.tasks import cancel_all

READ_BYTES = 4096


def ring(path: Path) -> None:
    """Wake who listens at `path`; nothing happens if nobody does."""
    if sys.platform == "win32":
        return
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENXIO):
            raise
        return
    try:
        with suppress(BlockingIOError):  # so many rings that it is awake anyway
            os.write(pipe, b"!")
    finally:
        os.close(pipe)


class Bell:
    """Heard by one process, by any number of its tasks. `rings`: take it before you look, give it to `heard` after."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rings = 0
        self._pipe: int | None = None
        self._rung: asyncio.Event | None = None

    def hang(self) -> None:
        """Begin to listen. Needs a running loop."""
        if sys.platform == "win32":
            return
        self._path.unlink(missing_ok=True)
        os.mkfifo(self._path, 0o600)
        self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rung = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe, self._ringing)

    def _ringing(self) -> None:
        if sys.platform != "win32" and self._pipe is not None and self._rung is not None:
            with suppress(BlockingIOError):
                os.read(self._pipe, READ_BYTES)
            self.rings += 1
            self._rung.set()
            self._rung = asyncio.Event()

    async def heard(self, rings: int, *, within_s: float, clock: Clock) -> None:
        """Wait until there were more than `rings`, at most so long."""
        if self.rings != rings:
            return
        waiting: list[asyncio.Task[Any]] = [asyncio.ensure_future(clock.sleep(within_s))]
        if self._rung is not None:
            waiting.append(asyncio.ensure_future(self._rung.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all(waiting)

    def take_down(self) -> None:
        """Listen no longer."""
        if sys.platform != "win32" and self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._path.unlink(missing_ok=True)
        self._pipe = self._rung = None
