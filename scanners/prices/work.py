"""The price scanner at work: connections, a flush a second, a count each cycle. Decides nothing about a price."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core import tasks
from core.clock import utc_text
from core.errors import RetryLater
from core.logs import get_logger
from core.progress import measured
from market.quotes import Tick
from market.sessions import Session
from scanners.context import Context, load_tickers, minute_of, open_writer, origin_of
from scanners.prices.book import Coverage, PriceBook, coverage
from scanners.prices.connection import ShardConnection
from scanners.prices.shards import plan_shards
from storage.counts import read_price_times
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.prices import PriceRow, confirm_prices, flush_prices
from storage.runs import finish_run, start_run
from storage.writer import Writer

log = get_logger(__name__)

OPEN_GAP_S = 0.03
"""Between two new connections: 89 of them are open after less than three seconds, without a burst."""
WATCH_S = 1.0


async def work(context: Context) -> int | None:
    """Run until asked to stop, or with `once` for one cycle."""
    origin = await origin_of(context, context.settings.prices.stream_url)
    if origin is None:
        return None
    writer = open_writer(context, origin)
    rows = await load_tickers(context)
    shards = plan_shards(rows, per_connection=context.settings.prices.symbols_per_connection)
    log.info("prices_started", tickers=len(rows), connections=len(shards), origin=origin)
    scanner = PriceScanner(context, writer, shards)
    try:
        await scanner.run()
    finally:
        writer.close()
    return None


class PriceScanner:
    """Wires connections to the book and the book to the table."""

    def __init__(self, context: Context, writer: Writer, shards: list[tuple[str, ...]]) -> None:
        self._context, self._writer = context, writer
        self._clock, self._settings = context.clock, context.settings.prices
        self._book = PriceBook(ticker for shard in shards for ticker in shard)
        self._sessions: tuple[Session, ...] = ()
        self._written: set[str] = set()
        self._database_away_since: datetime | None = None
        self._failure: BaseException | None = None
        self._connections = [self._connection(number, tickers) for number, tickers in enumerate(shards)]

    def _connection(self, number: int, tickers: tuple[str, ...]) -> ShardConnection:
        return ShardConnection(
            number,
            tickers,
            settings=self._context.settings,
            trust=self._context.trust,
            clock=self._clock,
            on_tick=self._on_tick,
            on_failure=self._on_failure,
        )

    def _on_tick(self, tick: Tick) -> None:
        self._context.pulse.reached()
        self._book.offer(tick, self._sessions, now=self._clock.utc_now(), now_s=self._clock.monotonic_s())

    def _on_failure(self, what: str) -> None:
        if not any(each.last_frame_s for each in self._connections if each.opened_s is not None):
            self._context.pulse.unreachable(what)

    async def run(self) -> None:
        """Run every loop until asked to stop; whatever was received is written before this returns.

        RetryLater if the database would not take the last of it.
        """
        self._sessions = self._sessions_now()
        self._context.pulse.ready()
        opening = tasks.spawn(self._open_all(), name="open", on_error=self._fail)
        flushing = tasks.spawn(self._flush_loop(), name="flush", on_error=self._fail)
        try:
            await self._cycles()
        finally:
            self._context.stop.set()
            await tasks.cancel_all([opening])
            await asyncio.wait([flushing])  # not cancelled: what its thread could not write would be lost
            unwritten = await self._flush()
        if error := self._failure or unwritten:
            raise error

    def _sessions_now(self) -> tuple[Session, ...]:
        """The session that is open, or was last, and the one to come: its first trade may meet a clock that is late."""
        coming = self._context.calendar.next_session(self._clock.utc_now())
        return tuple(session for session in (self._context.session(), coming) if session is not None)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._context.stop.set()

    async def _open_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(connection.run())
                await self._clock.sleep(OPEN_GAP_S)

    async def _flush_loop(self) -> None:
        """Write what changed each `flush_interval_s`; the next one starts when the last is committed."""
        while not await self._context.wait(self._settings.flush_interval_s):
            self._sessions = self._sessions_now()
            await self._flush()
            now_s = self._clock.monotonic_s()
            for connection in self._connections:
                connection.abort_if_stalled(now_s=now_s)

    async def _flush(self) -> RetryLater | None:
        """Write what waits; return why it could not be written and still waits."""
        rows = self._book.take()
        if not rows:
            return None
        newest = max(row.price_time for row in rows)
        begun = [session.opens_at for session in self._sessions if session.opens_at <= newest]
        opens_at = max(begun, default=self._sessions[0].opens_at)
        asked_at = self._clock.utc_now()
        try:
            refused = await asyncio.to_thread(self._write, rows, opens_at)
        except RetryLater as error:
            self._book.give_back(rows, heard_at=asked_at)
            self._database_away(error)
            return error
        self._written.update(row.ticker for row in rows if row.ticker not in refused)
        self._tell_refused(refused)
        self._database_back()
        return None

    def _write(self, rows: list[PriceRow], opens_at: datetime) -> set[str]:
        """Write `rows` (in a thread) and return the tickers whose price the table did not take."""
        result = flush_prices(self._writer, rows, price_source="stream", session_opens_at=opens_at)
        if result.written == len(rows):
            return set()
        kept = self._writer.run(lambda tx: read_price_times(tx, [row.ticker for row in rows]), source="prices")
        return {row.ticker for row in rows if row.kind == "regular" and kept.get(row.ticker) != row.price_time}

    def _tell_refused(self, tickers: set[str]) -> None:
        if tickers:
            self._book.refused["by_table"] += len(tickers)
        for ticker in sorted(tickers):
            if self._context.refusals.is_due(ticker, now_s=self._clock.monotonic_s()):
                log.warning("price_refused", ticker=ticker, reason="the table holds a newer one")

    def _database_away(self, error: RetryLater) -> None:
        if self._database_away_since is None:
            self._database_away_since = self._clock.utc_now()
            log.warning("database_unreachable", error=str(error))
        since = utc_text(self._database_away_since)
        self._context.pulse.facts["database"] = f"unreachable since {since}: {error}"

    def _database_back(self) -> None:
        if self._database_away_since is not None:
            log.info("database_reached", away_since=utc_text(self._database_away_since))
            self._database_away_since = None
            self._context.pulse.facts["database"] = "reachable"

    async def _cycles(self) -> None:
        """Count and record each `cycle_s`; `once` ends early when every ticker has been heard."""
        while not self._context.stop.is_set():
            started_at, started_s = self._clock.utc_now(), self._clock.monotonic_s()
            run_id = await self._start_run(started_at)
            while (elapsed_s := self._clock.monotonic_s() - started_s) < self._settings.cycle_s:
                self._report(elapsed_s)
                complete = self._context.once and len(self._written) == len(self._book.seen)
                if complete or await self._context.wait(WATCH_S):
                    break
            await self._end_cycle(run_id)
            if self._context.once:
                return

    def _report(self, elapsed_s: float) -> None:
        now, pulse = self._clock.utc_now(), self._context.pulse
        counted = self._coverage(now)
        pulse.coverage = {"price": asdict(counted.counts)}
        pulse.advance(measured("prices", done=len(self._written), total=len(self._book.seen), elapsed_s=elapsed_s))

    def _coverage(self, now: datetime) -> Coverage:
        now_s = self._clock.monotonic_s()
        alive = [(each, each.opened_s) for each in self._connections if each.proven(now_s=now_s)]
        proven = {ticker: opened_s or now_s for connection, opened_s in alive for ticker in connection.tickers}
        begun = [session.opens_at for session in self._sessions if session.opens_at <= now]
        opens_at = max(begun, default=None)
        return coverage(self._book, proven, session_opens_at=opens_at, now=now, cycle_s=self._settings.cycle_s)

    async def _start_run(self, at: datetime) -> int | None:
        try:
            run_id = await asyncio.to_thread(
                start_run,
                self._writer,
                scanner="prices",
                session_date=self._context.session_date(),
                expected=len(self._book.seen),
                at=at,
            )
        except RetryLater as error:
            self._database_away(error)
            return None
        self._database_back()
        return run_id

    async def _end_cycle(self, run_id: int | None) -> None:
        """Write what the cycle came to. A database that is away costs this record, never a price."""
        now = self._clock.utc_now()
        counted = self._coverage(now)
        detail = self._detail(counted.counts)
        try:
            await asyncio.to_thread(self._record, run_id, counted, detail, len(self._written), now)
        except RetryLater as error:
            self._database_away(error)
        if not self._context.once:
            self._written.clear()

    def _detail(self, counts: CoverageCounts) -> dict[str, Any]:
        """Counts since the start. Copied here: the loop goes on counting while a thread writes them."""
        return {
            "coverage": asdict(counts),
            "losses": sum((each.losses for each in self._connections), Counter[str]()),
            "frames_skipped": sum((each.skipped for each in self._connections), Counter[str]()),
            "ticks_refused": self._book.refused.copy(),
        }

    def _record(
        self, run_id: int | None, counted: Coverage, detail: dict[str, Any], updated: int, now: datetime
    ) -> None:
        confirm_prices(self._writer, counted.unchanged_tickers, at=now)
        write_coverage_minute(self._writer, minute=minute_of(now), field_group="price", counts=counted.counts)
        if run_id is None:
            return
        finish_run(
            self._writer,
            run_id,
            status="complete" if counted.counts.unknown == 0 else "partial",
            updated=updated,
            failed=counted.counts.unknown,
            skipped=counted.counts.unchanged + counted.counts.no_trade,
            detail=detail,
            at=now,
        )
