"""Outcomes on their way into the table: gathered, written by the hundred, kept while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from core.errors import RetryLater
from core.logs import get_logger
from proxies import pool
from proxies.model import Address, Outcome
from storage.writer import Writer

log = get_logger(__name__)

ROWS_A_FLUSH = 500
MOST_KEPT = 50_000
"""While the database is away; more is a round's worth of candidates, which the next harvest brings again."""


class Ledger:
    """Takes outcomes in the loop, writes them in a thread."""

    def __init__(self, writer: Writer, engine: Engine, *, is_own: Callable[[str], bool]) -> None:
        self._writer, self._engine, self._is_own = writer, engine, is_own
        self._kept: list[Outcome] = []
        self._found: dict[Address, str] = {}
        self._writing = asyncio.Lock()
        self.away = ""
        """Why nothing could be written last time."""

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, outcome: Outcome, *, listed_as: Address | None = None, sources: str = "") -> None:
        """Take an outcome; one that speaks another protocol than its list says is two: that it does not, and this."""
        if listed_as is not None and listed_as != outcome.address:
            self._kept.append(Outcome(address=listed_as, cause="reset", at=outcome.at))
            self._found[outcome.address] = sources
        self._kept.append(outcome)
        if len(self._kept) > MOST_KEPT:
            del self._kept[: len(self._kept) - MOST_KEPT]

    def left(self) -> list[Outcome]:
        """Return what could not be written."""
        return list(self._kept)

    def take_back(self, outcomes: list[Outcome]) -> None:
        """Take what an earlier ledger had left."""
        self._kept = outcomes + self._kept

    async def flush(self, *, at: datetime, full_only: bool = False) -> None:
        """Write what was taken; with `full_only` only once it is worth a transaction."""
        async with self._writing:
            if not self._kept or (full_only and len(self._kept) < ROWS_A_FLUSH):
                return
            outcomes, found = self._kept, self._found
            self._kept, self._found = [], {}
            try:
                await asyncio.to_thread(self._write, outcomes, found, at)
            except RetryLater as error:
                self._kept, self._found = outcomes + self._kept, found | self._found
                if not self.away:
                    log.warning("proxy_outcomes_waiting", outcomes=len(self._kept), error=str(error))
                self.away = str(error)
            else:
                self.away = ""

    def _write(self, outcomes: list[Outcome], found: dict[Address, str], at: datetime) -> None:
        if found:
            pool.add(self._writer, found, at=at)
        pool.record(self._writer, self._engine, outcomes, is_own=self._is_own)
