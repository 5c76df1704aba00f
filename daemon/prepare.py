"""Runs the one program that must succeed before any other: it makes the database ready. Knows nothing of databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import EXIT_CONFIG, EXIT_DONE
from core.logs import get_logger
from core.settings import Settings
from daemon.child_logs import ChildLog
from daemon.launch import Launch
from daemon.system import Process

MODULE = "storage.prepare"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one run ended; `said`: its last line."""

    returncode: int
    said: str

    @property
    def done(self) -> bool:
        return self.returncode == EXIT_DONE

    @property
    def hopeless(self) -> bool:
        """A person must change something first."""
        return self.returncode == EXIT_CONFIG


class Preparation:
    """Tries until it succeeds, is hopeless or is to stop; `on_attempt` hears of each try that ended."""

    def __init__(
        self,
        command: Launch,
        *,
        settings: Settings,
        luck: Callable[[], float],
        on_attempt: Callable[[Attempt], None],
    ) -> None:
        logging = settings.logging
        self._output = ChildLog(Path(logging.dir), "prepare", max_mb=logging.max_mb, keep=logging.keep)
        self._command, self._limits, self._luck, self._on_attempt = command, settings.supervisor, luck, on_attempt
        self._process: Process | None = None

    async def run(self, stop: asyncio.Event) -> Attempt | None:
        """Return the attempt that settled it; None if `stop` came first."""
        try:
            return await self._until_settled(stop)
        finally:
            self._output.close()

    async def _until_settled(self, stop: asyncio.Event) -> Attempt | None:
        failures = 0
        while not stop.is_set():
            attempt = await self._attempt(stop)
            if attempt is None or attempt.done or attempt.hopeless:
                return attempt
            self._on_attempt(attempt)
            # Half jitter: a program that fails at once must not be tried without a pause.
            pause_s = min(self._limits.backoff_max_s, 2.0 ** min(failures, 30)) * (1 + self._luck()) / 2
            failures += 1
            log.warning("preparation_failed", exit_code=attempt.returncode, detail=attempt.said, retry_s=pause_s)
            await wait(stop, pause_s)
        return None

    def kill(self) -> None:
        """End a try that is under way, at once."""
        if self._process is not None:
            self._process.kill()

    async def _attempt(self, stop: asyncio.Event) -> Attempt | None:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._output.forget_tail()
        try:
            self._process = Process(self._command, on_exit=ended.set_result, on_output=self._output.write)
        except OSError as error:
            return Attempt(returncode=1, said=f"cannot be started: {error}")
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            await self._end(self._process, ended)
        self._process = None
        return None if stop.is_set() else Attempt(returncode=ended.result(), said=self._output.last_line)

    async def _end(self, process: Process, ended: asyncio.Future[int]) -> None:
        process.terminate()
        await asyncio.wait((ended,), timeout=self._limits.stop_timeout_s)
        process.kill()
        await ended


async def wait(stop: asyncio.Event, duration_s: float) -> None:
    """Return after `duration_s` seconds or when `stop` is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):  # unlike wait_for: no task for each tick of an idle day
            await stop.wait()
