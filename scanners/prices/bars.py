"""Keeps the minute bars: each minute its file, after the close one a session. A disk that is full costs no price."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import TickerdError
from core.logs import get_logger
from market.bars import MinuteBar, joined
from market.eastern import local_date
from market.quotes import Tick
from market.sessions import Session
from net.origin import Origin
from scanners.context import Context, minute_of
from scanners.prices.minutes import SETTLE, Line, MinuteBook
from storage.minute_bars import MinuteBarFiles

log = get_logger(__name__)

FOLDER = "minute_bars"
LOOK_S = 1.0
CLOSED_FOR = timedelta(minutes=3)
"""Late trades have come by then, and the scanner still runs: it ends five minutes after the close."""
MOST_WAITING = 90_000
"""So many bars wait in memory for a disk that takes none: ten minutes of all tickers."""


async def open_files(context: Context, origin: Origin) -> MinuteBarFiles:
    """Return the folder of bars under the state folder; FixByHand without pyarrow."""
    return await asyncio.to_thread(
        MinuteBarFiles.open,
        Path(context.settings.state.dir) / FOLDER,
        keep_sessions=context.settings.prices.minute_bars_keep_sessions,
        origin=origin,
    )


class BarKeeper:
    """The way of the book's ticks to the files. `lines`: of the tickers whose connection is open and proven whole."""

    def __init__(self, context: Context, files: MinuteBarFiles, *, lines: Callable[[], Mapping[str, Line]]) -> None:
        self._context, self._clock, self._files, self._lines = context, context.clock, files, lines
        self._book = MinuteBook(since=self._clock.utc_now())
        self._waiting: dict[tuple[str, datetime], MinuteBar] = {}
        self._failed: set[date] = set()
        self._is_failing = False
        self._written = self._dropped = 0

    def offer(self, tick: Tick, sessions: Sequence[Session]) -> None:
        """Take in a tick of the regular session."""
        self._book.offer(tick, sessions, now=self._clock.utc_now(), now_s=self._clock.monotonic_s())

    def detail(self) -> dict[str, Any]:
        """Return the counts since the start, for the record."""
        counts = {"written": self._written, "waiting": len(self._waiting), "dropped": self._dropped}
        return counts | {"ticks_left_out": self._book.left_out.copy()}

    async def run(self) -> None:
        """Write each minute once it has settled, until asked to stop; then write what there is, marked as not whole."""
        await self._tidy()
        done: datetime | None = None
        while not await self._context.wait(LOOK_S):
            settled = minute_of(self._clock.utc_now() - SETTLE)
            if settled != done:
                done = settled
                await self._write(is_ending=False)
                await self._tidy()
        await self._write(is_ending=True)

    async def _write(self, *, is_ending: bool) -> None:
        now = self._clock.utc_now()
        for bar in self._book.take(self._lines(), now=now, now_s=self._clock.monotonic_s(), is_ending=is_ending):
            key = (bar.ticker, bar.minute)
            self._waiting[key] = joined(self._waiting[key], bar) if key in self._waiting else bar
        bars = list(self._waiting.values())
        try:
            too_late = await asyncio.to_thread(self._files.write, bars)
        except TickerdError as error:
            self._tell_failure(error)
            self._forget()
            return
        if self._is_failing:
            log.info("minute_bars_written_again", bars=len(bars))
        self._is_failing = False
        self._waiting.clear()
        self._written += len(bars) - too_late
        self._drop(too_late, "the session is one file already")

    def _tell_failure(self, error: TickerdError) -> None:
        if not self._is_failing:
            log.warning("minute_bars_unwritten", error=str(error), bars=len(self._waiting))
        self._is_failing = True

    def _forget(self) -> None:
        old = list(self._waiting)[:-MOST_WAITING]
        for key in old:
            del self._waiting[key]
        self._drop(len(old), "the disk does not take them")

    def _drop(self, bars: int, reason: str) -> None:
        if bars:
            self._dropped += bars
            log.warning("minute_bars_dropped", bars=bars, reason=reason)

    async def _tidy(self) -> None:
        """Compact what is over, then forget the oldest sessions. What fails is tried again at the next start."""
        due = [
            session_date
            for session_date in await asyncio.to_thread(self._files.uncompacted)
            if self._is_over(session_date) and session_date not in self._failed
        ]
        for session_date in due:
            try:
                await self._compact(session_date)
            except TickerdError as error:
                self._failed.add(session_date)
                log.error("minute_bars_uncompacted", session=str(session_date), error=str(error))

    async def _compact(self, session_date: date) -> None:
        is_stopping = self._context.stop.is_set
        rows = await asyncio.to_thread(self._files.compact, session_date, is_stopping=is_stopping)
        if rows is not None:
            log.info("minute_bars_compacted", session=str(session_date), rows=rows)
            for old in await asyncio.to_thread(self._files.prune):
                log.info("minute_bars_removed", session=str(old))

    def _is_over(self, session_date: date) -> bool:
        now, calendar = self._clock.utc_now(), self._context.calendar
        if (session := calendar.day(session_date).session) is None:  # the calendar was changed since
            return session_date < local_date(now, calendar.zone_name)
        return session.closes_at + CLOSED_FOR <= now
