"""Asks the scan engine for scans and waits for them; keeps anybody from asking for too many. Runs none itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, select

from api.problems import Problem
from api.sql import Database
from core.bell import Bell, ring
from core.clock import Clock
from screener.jobs.request import Request
from screener.service import new_id
from storage import scans as stored
from storage.schema import scans

MOST = 200
"""Scans that wait or run, of everybody."""
MOST_OF_ONE = 60
LOOK_S = 0.25
"""How often who waits for a scan looks, should the engine's bell not be heard."""

Row = dict[str, Any]


class UnderWay:
    """`asked`: who asked for which scans that may still run."""

    def __init__(self, database: Database, state_dir: Path, clock: Clock, *, enabled: bool) -> None:
        """`enabled`: whether the settings have a scan engine run."""
        self._database, self._clock, self._enabled = database, clock, enabled
        self._engine_bell = state_dir / stored.BELL
        self.bell = Bell(state_dir / stored.API_BELL)
        self._asked: dict[str, set[str]] = {}

    async def ask(self, request: Request, *, by: str) -> str:
        """Note a scan for the engine and wake it; return its number.

        Problem 429 if there are too many, 503 if the settings say that no engine runs.
        """
        if not self._enabled:
            raise Problem(503, "scan_engine_off", "no scan engine runs; see [screener] enabled")
        await self._refuse_too_many(by)
        at = self._clock.utc_now()
        scan_id = new_id(at)
        given = msgspec.to_builtins(request)
        await self._database.write(lambda writer: stored.ask(writer, scan_id, given, name=None, at=at))
        self._asked.setdefault(by, set()).add(scan_id)
        ring(self._engine_bell)
        return scan_id

    async def _refuse_too_many(self, by: str) -> None:
        running = await self._database.read(_under_way)
        own = self._asked[by] = self._asked.get(by, set()) & running
        if len(running) >= MOST or len(own) >= MOST_OF_ONE:
            detail = f"{len(running)} scans wait or run, {len(own)} of them yours; wait for one, or cancel it"
            raise Problem(429, "too_many_scans", detail, headers={"Retry-After": "1"})

    async def cancel(self, scan_id: str) -> bool:
        """Have a scan stopped; False if it is over."""
        asked = await self._database.write(lambda writer: stored.ask_to_cancel(writer, scan_id))
        ring(self._engine_bell)
        return asked

    async def row(self, scan_id: str) -> Row:
        """Return the row of a scan; Problem 404."""
        found = await self._database.read(lambda engine: _row(engine, scan_id))
        if found is None:
            raise Problem(404, "unknown_scan", "no such scan is kept")
        return found

    async def ended(self, scan_id: str, *, until: datetime) -> Row:
        """Return the row of a scan once it has ended, or as it is at `until`."""
        while True:
            rings = self.bell.rings
            row = await self.row(scan_id)
            if row["status"] in stored.ENDED or self._clock.utc_now() >= until:
                return row
            await self.bell.heard(rings, within_s=LOOK_S, clock=self._clock)


def _row(engine: Engine, scan_id: str) -> Row | None:
    with engine.connect() as connection:
        found = connection.execute(select(scans).where(scans.c.id == scan_id)).mappings().first()
    return dict(found) if found else None


def _under_way(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(select(scans.c.id).where(scans.c.status.in_(("pending", "running")))).scalars())
