"""One look at all that /metrics tells: this process, the orchestrator, SQL, the logs. Leaves out what is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Engine

from api.control import Control
from api.kept import Kept
from api.metrics import Sheet
from api.metrics_logs import Logs
from api.metrics_own import put_process, put_streams, put_traffic
from api.metrics_status import put_status
from api.metrics_tables import Tables
from api.problems import Problem
from api.sql import Database
from api.streams.doors import Doors
from api.traffic import Traffic
from core.clock import Clock
from core.errors import TickerdError
from core.settings import Settings
from market.sessions import Calendar

LOOK_S = 1.0
"""A look reads the whole table: who asks more often gets the same."""


class Look:
    """Counters begin at 0 with the process, as Prometheus expects of one that has started anew."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        calendar: Calendar,
        control: Control,
        database: Database,
        traffic: Traffic,
        doors: Doors,
    ) -> None:
        self._settings, self._clock, self._calendar = settings, clock, calendar
        self._control, self._database, self._traffic, self._doors = control, database, traffic, doors
        self._tables, self._logs = Tables(clock.utc_now()), Logs(Path(settings.logging.dir))
        self._kept = Kept(self._look, age_s=LOOK_S, clock=clock)

    async def text(self) -> bytes:
        return await self._kept.get()

    async def _look(self) -> bytes:
        sheet = Sheet()
        put_traffic(sheet, self._traffic)
        put_streams(sheet, self._doors)
        await self._ask_orchestrator(sheet)
        await self._ask_database()
        self._tables.put(sheet)
        await asyncio.to_thread(self._logs.read)
        self._logs.put(sheet)
        put_process(sheet, self._database)
        screener = self._settings.screener
        sheet.put("stocks_scan_symbol_worker_processes", screener.max_workers if screener.enabled else 0)
        return sheet.text()

    async def _ask_orchestrator(self, sheet: Sheet) -> None:
        """Without one the calendar still knows whether the market is open."""
        now = self._clock.utc_now()
        try:
            put_status(sheet, await self._control.status(), now=now)
        except (TickerdError, Problem):
            sheet.put("stocks_control_up", 0)
            sheet.put("stocks_market_open", self._calendar.session_at(now) is not None)

    async def _ask_database(self) -> None:
        """What was counted stays, what is now is not known while the database is away; it counts its own errors."""
        now = self._clock.utc_now()

        def read(engine: Engine) -> None:
            self._tables.read(engine, now)

        try:
            await self._database.read(read)
        except TickerdError:
            self._tables.forget_now()
