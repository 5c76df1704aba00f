"""The scan engine's process: runs the scans that others ask for and the scheduled ones, and keeps what they find.

Never waits for a client: who asks writes a row and reads rows.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from core import tasks
from core.bell import Bell, ring
from core.clock import Clock, SystemClock
from core.errors import RetryLater, TickerdError
from core.files import make_folder, read_text
from core.logs import get_logger
from core.notify import Notifier, beat_interval_s
from core.settings import Settings
from market.sessions import build_calendar
from screener import export
from screener.feed import QuoteFeed
from screener.jobs.market import Market
from screener.jobs.request import Request, read_request
from screener.jobs.scan import Outcome
from screener.measures import memory
from screener.schedule import Now, Ran, due, minute_of
from screener.service import Service, new_id
from screener.store import Store
from storage import scans
from storage.runs import DAILY_BARS, completed_at
from storage.writer import Writer

log = get_logger(__name__)

SERVICE = "screener"
POLL_S = 0.5
"""How often it looks at what may be due; a ring of its bell is heard at once."""
BUSY_POLL_S = 0.05
"""While scans run: so fresh is what others read of them."""
LONGEST_STEP_S = 600.0
"""The back-test of all patterns takes seconds, on a busy machine a minute. What takes longer hangs: it gets no beat."""
AT_ONCE = 8
"""Scans of others that run at one time; more of them wait."""
NAMED_MOVES = 20
"""Signals of one scan that are named in the log; all are in the table."""


class Engine:
    """The work of the process, a step at a time."""

    def __init__(self, settings: Settings, service: Service, writer: Writer, clock: Clock) -> None:
        self._settings, self._service, self._writer, self._clock = settings, service, writer, clock
        self._calendar = build_calendar(settings.market, read=read_text)
        self._listener = Path(settings.state.dir) / scans.API_BELL
        self._ran = Ran()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._shown: dict[str, int] = {}
        self._unkept: dict[str, TickerdError] = {}
        self._housekept_at: datetime | None = None
        self._rated_at: datetime | None = None
        self.done = self.failed = 0

    @property
    def busy(self) -> bool:
        """Whether scans that others asked for are running."""
        return bool(self._asked)

    async def step(self) -> None:
        """Look once at everything that may be due; RetryLater while the database is away."""
        await self.look()
        await self.do_due()

    async def look(self) -> None:
        """Begin and stop what others ask for, and tell how far it is."""
        pending, to_cancel = await asyncio.to_thread(scans.waiting, self._service.store.engine)
        for scan_id in to_cancel:
            self._service.cancel(scan_id)
        await asyncio.to_thread(self._keep_failures)
        room = AT_ONCE - len(self._asked)
        if pending and room:
            for asked in await asyncio.to_thread(scans.take, self._writer, at=self._clock.utc_now(), limit=room):
                self._begin(asked)
        await asyncio.to_thread(self._show_progress)

    async def do_due(self) -> None:
        """Do what is due by the clock: it may take seconds."""
        await asyncio.to_thread(self.run_due)
        await asyncio.to_thread(self._keep_house)
        if not self._asked:
            await asyncio.to_thread(self.renew_rates)

    async def finish(self) -> None:
        """Stop what runs and wait for its end."""
        self._service.stop()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        self._service.save_times()

    def _begin(self, asked: scans.Asked) -> None:
        def lost(error: BaseException) -> None:
            log.error("scan_lost", scan_id=asked.id, error=repr(error))

        task = tasks.spawn(asyncio.to_thread(self.answer, asked), name=asked.id, on_error=lost)
        self._asked[asked.id] = task
        task.add_done_callback(lambda _task: self._asked.pop(asked.id, None))

    def answer(self, asked: scans.Asked) -> None:
        """Run a scan that somebody asked for and keep how it ended, also if it could not be run."""
        try:
            request = read_request(asked.request)
            outcome = self._service.run(request, scan_id=asked.id, load=self._loader(request))
            self._service.keep(self._writer, asked.id, request, outcome)
            self.done += 1
        except Exception as error:
            self._keep_failure(asked.id, error)
        finally:
            ring(self._listener)

    def _keep_failure(self, scan_id: str, error: Exception) -> None:
        self.failed += 1
        if not isinstance(error, TickerdError):  # a fault of this program: who asked is told, the log has it too
            log.error("scan_lost", scan_id=scan_id, error=repr(error))
            error = TickerdError(f"the scan engine failed: {error!r}")
        try:
            self._service.keep_failure(self._writer, scan_id, error)
        except RetryLater:
            self._unkept[scan_id] = error
            raise

    def _keep_failures(self) -> None:
        """Keep those that could not be while the database was away."""
        for scan_id, error in list(self._unkept.items()):
            self._service.keep_failure(self._writer, scan_id, error)
            del self._unkept[scan_id]

    def _loader(self, request: Request) -> Callable[[], Market]:
        past = request.on or request.since or request.until
        return self._service.store.closed if past else self._service.store.live

    def _show_progress(self) -> None:
        """Let other processes see how far the running scans are and what they have found."""
        for scan_id in list(self._asked):
            running = self._service.running.get(scan_id)
            if running is None:
                continue
            entries = running.log.read(self._shown.get(scan_id, 0))
            if entries:
                found = [dict(entry.data) | {"seq": entry.seq} for entry in entries if entry.kind == "result"]
                scans.note_progress(self._writer, scan_id, running.scan.payload(), found)
                self._shown[scan_id] = entries[-1].seq
                ring(self._listener)
        self._shown = {scan_id: seq for scan_id, seq in self._shown.items() if scan_id in self._asked}

    def run_due(self) -> int:
        """Run the saved scans that are due; return how many."""
        saved = scans.read_saved(self._service.store.engine)
        if not any(row["schedule"] for row in saved):
            return 0
        now = self._now()
        wanted = due(saved, now, self._ran)
        if any(row["schedule"] == "minute" for row in wanted):
            self._ran = Ran(minute_of(now.at), now.prices_seq)
        market: dict[str, Market] = {}
        for row in wanted:
            load = self._service.store.live if row["schedule"] == "minute" else self._service.store.closed
            self._run_saved(row, partial(_once, market, row["schedule"], load))
        return len(wanted)

    def _run_saved(self, row: Mapping[str, Any], load: Callable[[], Market]) -> None:
        name, at = row["name"], self._clock.utc_now()
        scan_id = new_id(at)
        scans.begin(self._writer, scan_id, row["request"], name=name, at=at)
        try:
            request = replace(read_request(row["request"]), max_age_s=0.0)  # the scanners bring what is new
            outcome = self._service.run(request, scan_id=scan_id, load=load)
            self._service.keep(self._writer, scan_id, request, outcome)
        except Exception as error:
            self._keep_failure(scan_id, error)
            if not self._service.stopping.is_set():  # else the next process runs it
                scans.note_run(self._writer, name, scan_id, at=at)
            return
        self.done += 1
        if outcome.status != "cancelled":  # by the end of this process, too
            self._renew(name, scan_id, outcome)

    def _renew(self, name: str, scan_id: str, outcome: Outcome) -> None:
        at, whole = self._clock.utc_now(), outcome.status == "complete" and outcome.ended["exact"]
        moves = scans.renew_signals(self._writer, name, scan_id, outcome.results, whole=whole, at=at)
        for symbol in moves.entered[:NAMED_MOVES]:
            log.info("signal_entered", scan=name, symbol=symbol, scan_id=scan_id)
        for symbol in moves.left[:NAMED_MOVES]:
            log.info("signal_left", scan=name, symbol=symbol, scan_id=scan_id)
        if moves.entered or moves.left:
            log.info("signals_renewed", scan=name, entered=len(moves.entered), left=len(moves.left))

    def _now(self) -> Now:
        at = self._clock.utc_now()
        session = self._calendar.session_at(at)
        over = self._calendar.last_session(at)
        engine = self._service.store.engine
        return Now(
            at=at,
            is_open=session is not None,
            prices_seq=self._service.store.newest_seq(),
            closed_at=completed_at(engine, DAILY_BARS, over.session_date) if over else None,
        )

    def renew_rates(self) -> None:
        """Have the hit rates counted once a session's bars are whole: while they come, each look would cost seconds."""
        closed_at = self._now().closed_at
        if closed_at is not None and closed_at != self._rated_at:
            self._service.renew_rates()
            self._rated_at = closed_at

    def _keep_house(self) -> None:
        """Once a day let go of old result files."""
        now = self._clock.utc_now()
        if self._housekept_at is not None and now - self._housekept_at < timedelta(days=1):
            return
        self._housekept_at = now
        before = now - timedelta(days=self._settings.retention.scan_days)
        export.remove_old(Path(self._settings.screener.results_dir), before=before)
        self._service.save_times()


def _once(held: dict[str, Market], key: str, load: Callable[[], Market]) -> Market:
    """All scans of one minute look at one market."""
    if key not in held:
        held[key] = load()
    return held[key]


class Pulse:
    """Beats while there is work, not more often than is needed."""

    def __init__(self, engine: Engine, notifier: Notifier, every_s: float, clock: Clock) -> None:
        self._engine, self._notifier, self._every_s, self._clock = engine, notifier, every_s, clock
        self._beaten_s = -math.inf

    def beat(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._beaten_s >= self._every_s:
            self._beaten_s = now_s
            self._notifier.beat(facts={"scans_done": self._engine.done, "scans_failed": self._engine.failed})


async def _patiently(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except RetryLater as error:
        log.warning("screener_waits", error=str(error))


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock | None = None) -> None:
    """Work until asked to stop; a database that is away is waited for."""
    clock = clock or SystemClock()
    memory.keep()  # before there are threads
    writer = await asyncio.to_thread(Writer.open, settings.database.url, service=SERVICE, origin=None, clock=clock)
    with writer:
        async with _service(settings, clock) as service:
            await _serve(settings, service, writer, stop, notifier, clock)


@asynccontextmanager
async def _service(settings: Settings, clock: Clock) -> AsyncIterator[Service]:
    store = await asyncio.to_thread(Store, settings, service=SERVICE, clock=clock)
    service = Service(settings, store, clock, feed=QuoteFeed(settings, store, clock))
    try:
        yield service
    finally:
        await asyncio.to_thread(service.close)  # the feed has a loop of its own


async def _serve(
    settings: Settings, service: Service, writer: Writer, stop: asyncio.Event, notifier: Notifier, clock: Clock
) -> None:
    engine = Engine(settings, service, writer, clock)
    abandoned = await asyncio.to_thread(scans.abandon, writer, at=clock.utc_now())
    notifier.ready()
    log.info("screener_started", abandoned=abandoned)
    pulse = Pulse(engine, notifier, beat_interval_s(settings.supervisor.heartbeat_timeout_s), clock)
    bell = Bell(make_folder(Path(settings.state.dir)) / scans.BELL)
    bell.hang()
    try:
        await _work(engine, stop, bell, pulse, clock)
    finally:
        bell.take_down()
    notifier.stopping()
    await engine.finish()
    log.info("screener_stopped", scans_done=engine.done, scans_failed=engine.failed)


async def _work(engine: Engine, stop: asyncio.Event, bell: Bell, pulse: Pulse, clock: Clock) -> None:
    """Look at what others ask for again and again, whatever else is being done meanwhile."""
    stopping = asyncio.ensure_future(stop.wait())
    doing = asyncio.ensure_future(_patiently(engine.do_due()))
    begun_s = clock.monotonic_s()
    while not stop.is_set():
        rings = bell.rings
        await _patiently(engine.look())
        now_s = clock.monotonic_s()
        if now_s - begun_s < LONGEST_STEP_S:
            pulse.beat()
        if doing.done() and now_s - begun_s >= POLL_S:
            await doing
            doing, begun_s = asyncio.ensure_future(_patiently(engine.do_due())), now_s
        pause_s = BUSY_POLL_S if engine.busy else POLL_S
        hearing = asyncio.ensure_future(bell.heard(rings, within_s=pause_s, clock=clock))
        await asyncio.wait((stopping, hearing), return_when=asyncio.FIRST_COMPLETED)
        await tasks.cancel_all([hearing])
    await engine.finish()
    await doing
