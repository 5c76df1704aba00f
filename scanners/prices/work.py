"""The price scanner at work: connections, a flush a second, a count each cycle. Decides nothing about a price."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core import tasks
from core.errors import FixByHand, RetryLater
from core.logs import get_logger
from core.progress import measured
from market.quotes import Tick
from market.sessions import Session
from net.origin import Origin
from scanners.context import Context, load_tickers, minute_of, open_writer, origin_of
from scanners.prices.audit import Audit
from scanners.prices.bars import BarKeeper, open_files
from scanners.prices.book import PriceBook, sessions_at
from scanners.prices.connection import ShardConnection
from scanners.prices.coverage import Coverage, Moment, coverage
from scanners.prices.health import StreamHealth, counts
from scanners.prices.minutes import Line
from scanners.prices.retries import Pace
from scanners.prices.shards import is_ticker, plan_shards
from scanners.prices.table import Table
from storage.coverage import write_coverage_minute
from storage.minute_bars import MinuteBarFiles
from storage.prices import confirm_prices
from storage.runs import finish_run, start_run
from storage.writer import Writer

log = get_logger(__name__)

OPEN_GAP_S = 0.015
"""Between two connections that open, at the start and later: 89 of them take 1.3 s and are no burst."""
LOOK_S = 0.25
"""So often each connection is looked at: a stall is found so much later than its limit at most."""
WATCH_S = 1.0
FIRST_FLUSH_S = 0.1
"""So often it looks for the first prices to write."""
LEAST_PAUSE = 0.25
"""So much of the interval lies between two flushes at least: other writers want the database too."""
JUMP_HOLD_S = 10.0
"""So long a price that jumped waits for a quote; then a second trade confirms it alone."""


async def work(context: Context) -> int | None:
    """Run until asked to stop, or with `once` for one cycle."""
    origin = await origin_of(context, context.settings.prices.stream_url)
    if origin is None:
        return None
    writer = open_writer(context, origin)
    listed = await load_tickers(context)
    rows = [row for row in listed if is_ticker(row.ticker)]
    if len(rows) < len(listed):
        log.warning("tickers_refused", reason="without a name", tickers=len(listed) - len(rows))
    if not rows:
        raise FixByHand("stocks_stock holds no ticker with a name", right="`tickerd universe import FILE`")
    shards = plan_shards(rows, per_connection=context.settings.prices.symbols_per_connection)
    log.info("prices_started", tickers=len(rows), connections=len(shards), origin=origin)
    try:
        bars = await open_files(context, origin) if context.settings.prices.minute_bars and not context.once else None
        await PriceScanner(context, writer, shards, origin=origin, bars=bars).run()
    finally:
        writer.close()
    return None


class PriceScanner:
    """Wires connections and audit to the book, and the book to the table."""

    def __init__(
        self,
        context: Context,
        writer: Writer,
        shards: list[tuple[str, ...]],
        *,
        origin: Origin,
        bars: MinuteBarFiles | None = None,
    ) -> None:
        self._context, self._writer = context, writer
        self._clock, self._settings = context.clock, context.settings.prices
        # What `metrics.direct` says of this host's own address holds for every quote.
        asks = self._settings.audit and context.settings.metrics.direct != "never" and not context.once
        tickers = (ticker for shard in shards for ticker in shard)
        self._book = PriceBook(tickers, hold_s=JUMP_HOLD_S if asks else None)
        self._sessions: tuple[Session, ...] = ()
        self._table = Table(context, writer, self._book)
        self._failure: BaseException | None = None
        self._last_loss = ""
        self._pace = Pace(OPEN_GAP_S)
        self._connections = [self._connection(number, tickers) for number, tickers in enumerate(shards)]
        self._health = StreamHealth(self._settings.stall_timeout_s, heard_s=self._clock.monotonic_s())
        self._audit = self._build_audit(origin) if asks else None
        self._bars = BarKeeper(context, bars, lines=self._lines) if bars else None

    def _connection(self, number: int, tickers: tuple[str, ...]) -> ShardConnection:
        return ShardConnection(
            number,
            tickers,
            settings=self._context.settings,
            trust=self._context.trust,
            clock=self._clock,
            pace=self._pace,
            on_tick=self._on_tick,
            on_failure=self._on_failure,
            flight=self._context.flight,
        )

    def _build_audit(self, origin: Origin) -> Audit:
        return Audit(
            self._context,
            self._book,
            origin=origin,
            sessions=lambda: self._sessions,
            unheard=self._unheard,
            is_mute=lambda: self._health.is_mute,
        )

    def _unheard(self) -> Collection[str]:
        """Return the tickers for which the stream cannot vouch now."""
        if self._health.is_mute:
            return self._book.seen
        now_s = self._clock.monotonic_s()
        return [ticker for each in self._connections if each.is_failing(now_s=now_s) for ticker in each.tickers]

    def _on_tick(self, tick: Tick) -> None:
        """Each tick of each connection passes here; the book says as which price it was taken in, if at all."""
        kind = self._book.offer(tick, self._sessions, now=self._clock.utc_now(), now_s=self._clock.monotonic_s())
        if self._bars and kind == "regular":
            self._bars.offer(tick, self._sessions)

    def _lines(self) -> dict[str, Line]:
        """Return the connection of each ticker whose connection is open and proven whole."""
        now_s = self._clock.monotonic_s()
        return {
            ticker: Line(since_s=each.opened_s, heard_s=each.last_tick_s)
            for each in self._connections
            if each.opened_s is not None and each.last_tick_s is not None and each.proven(now_s=now_s)
            for ticker in each.tickers
        }

    def _on_failure(self, what: str) -> None:
        self._last_loss = what

    async def run(self) -> None:
        """Run every loop until asked to stop; whatever was received is written before this returns.

        RetryLater if the database would not take the last of it.
        """
        self._sessions = self._sessions_now()
        self._context.pulse.ready()
        loops = {"open": self._open_all(), "look": self._look_loop()}
        if self._audit:
            loops["audit"] = self._audit.run()
        running = [tasks.spawn(loop, name=name, on_error=self._fail) for name, loop in loops.items()]
        # These two are not cancelled: what their thread could not write would be lost.
        writing = [tasks.spawn(self._flush_loop(), name="flush", on_error=self._fail)]
        if self._bars:
            writing.append(tasks.spawn(self._bars.run(), name="bars", on_error=self._fail))
        try:
            await self._cycles()
        finally:
            self._context.stop.set()
            await tasks.cancel_all(running)
            await asyncio.wait(writing)
            unwritten = await self._flush()
        if error := self._failure or unwritten:
            raise error

    def _sessions_now(self) -> tuple[Session, ...]:
        return sessions_at(self._context.calendar, self._clock.utc_now())

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._context.stop.set()

    async def _open_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(connection.run())

    async def _look_loop(self) -> None:
        """Watch every connection and the stream as a whole, whatever the database does."""
        while not await self._context.wait(LOOK_S):
            now_s = self._clock.monotonic_s()
            for connection in self._connections:
                connection.watch(now_s=now_s)
            self._look(now_s)

    def _look(self, now_s: float) -> None:
        pulse, health, before_s = self._context.pulse, self._health, self._health.heard_s
        change = health.look(self._connections, now_s=now_s)
        if change == "fell_silent":
            log.warning("stream_fell_silent", last_loss=self._last_loss, quotes_take_over=self._audit is not None)
        elif change == "heard_again":
            log.info("stream_heard_again", silent_s=round(health.silent_s, 1))
        if health.is_mute:
            pulse.unreachable("no price on any connection" + ("; quotes take over" if self._audit else ""))
            pulse.data_at = self._audit.data_at if self._audit and self._audit.data_at else pulse.data_at
        elif health.heard_s > before_s:
            pulse.reached()
        pulse.facts["stream"] = counts(self._connections, now_s=now_s)
        if self._audit and (upstream := self._audit.facts.get("upstream")):
            pulse.facts["quotes"] = upstream

    async def _flush_loop(self) -> None:
        """Write what changed each `flush_interval_s`; the next one starts when the last is committed.

        The very first prices are written at once: a new process ends a gap.
        """
        interval_s = min(FIRST_FLUSH_S, self._settings.flush_interval_s)
        pause_s = interval_s
        while not await self._context.wait(pause_s):
            began_s = self._clock.monotonic_s()
            self._sessions = self._sessions_now()
            await self._flush()
            if self._table.written:
                interval_s = self._settings.flush_interval_s
            took_s = self._clock.monotonic_s() - began_s
            pause_s = max(interval_s - took_s, LEAST_PAUSE * interval_s)

    async def _flush(self) -> RetryLater | None:
        return await self._table.flush(self._sessions)

    async def _cycles(self) -> None:
        """Count and record each `cycle_s`; `once` ends early when every ticker has been heard."""
        while not self._context.stop.is_set():
            started_at, started_s = self._clock.utc_now(), self._clock.monotonic_s()
            run_id = await self._start_run(started_at)
            while (elapsed_s := self._clock.monotonic_s() - started_s) < self._settings.cycle_s:
                self._report(elapsed_s)
                complete = self._context.once and len(self._table.written) == len(self._book.seen)
                if complete or await self._context.wait(WATCH_S):
                    break
            await self._end_cycle(run_id)
            if self._context.once:
                return

    def _report(self, elapsed_s: float) -> None:
        now, pulse = self._clock.utc_now(), self._context.pulse
        counted = self._coverage(now)
        pulse.coverage = {"price": asdict(counted.counts)}
        pulse.advance(
            measured("prices", done=len(self._table.written), total=len(self._book.seen), elapsed_s=elapsed_s)
        )

    def _coverage(self, now: datetime) -> Coverage:
        now_s = self._clock.monotonic_s()
        begun = [session.opens_at for session in self._sessions if session.opens_at <= now]
        moment = Moment(
            now=now,
            now_s=now_s,
            cycle_s=self._settings.cycle_s,
            session_opens_at=max(begun, default=None),
            opened_s={
                ticker: each.opened_s
                for each in self._connections
                if each.opened_s is not None
                for ticker in each.tickers
            },
            proven=frozenset(
                ticker for each in self._connections if each.proven(now_s=now_s) for ticker in each.tickers
            ),
        )
        return coverage(self._book, moment)

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
            self._table.away(error)
            return None
        self._table.back()
        return run_id

    async def _end_cycle(self, run_id: int | None) -> None:
        """Write what the cycle came to. A database that is away costs this record, never a price."""
        now = self._clock.utc_now()
        counted = self._coverage(now)
        detail = self._detail(counted)
        try:
            await asyncio.to_thread(self._record, run_id, counted, detail, len(self._table.written), now)
        except RetryLater as error:
            self._table.away(error)
        if not self._context.once:
            self._table.written.clear()

    def _detail(self, counted: Coverage) -> dict[str, Any]:
        """Counts since the start. Copied here: the loop goes on counting while a thread writes them."""
        parsers = [each.parser for each in self._connections]
        unknown_fields = sum((each.unknown_fields for each in parsers), Counter[int]())
        return {
            "coverage": asdict(counted.counts),
            "why": counted.why,
            "no_trade_age_s": counted.age_s,
            "stream": counts(self._connections, now_s=self._clock.monotonic_s()),
            "losses": sum((each.losses for each in self._connections), Counter[str]()),
            "frames_skipped": sum((each.skipped for each in parsers), Counter[str]()),
            "unknown_fields": {str(number): count for number, count in sorted(unknown_fields.items())},
            "ticks_refused": self._book.refused.copy(),
            **({"audit": self._audit.detail()} if self._audit else {}),
            **({"minute_bars": self._bars.detail()} if self._bars else {}),
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
