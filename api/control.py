"""Asks the orchestrator over its control socket, off the loop. Starts none; without one it says 503."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from api.kept import Kept
from api.problems import Problem
from core.clock import Clock
from core.errors import EXIT_CONFIG
from daemon import client

STATUS_S = 0.25
"""So long a status is good enough for everybody who asks in it."""


class Control:
    """`status` is the document of `tickerd status --json`, asked four times a second at most, whoever asks."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._state_dir = state_dir
        self._status = Kept(partial(self.ask, "status"), age_s=STATUS_S, clock=clock)

    async def ask(self, command: str, name: str = "") -> dict[str, Any]:
        """Return the orchestrator's answer; NotRunning without one, Problem 409 with what it said."""
        answer = await asyncio.to_thread(client.ask, self._state_dir, {"command": command, "name": name})
        if "error" in answer:
            status = 422 if answer.get("exit_code") == EXIT_CONFIG else 409
            raise Problem(status, "refused", str(answer["error"]))
        return answer

    async def status(self) -> dict[str, Any]:
        return await self._status.get()
