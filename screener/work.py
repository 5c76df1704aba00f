"""The scan engine's process: runs the scans that others ask for and the scheduled ones, and keeps what they find.

Never waits for a client: who asks writes a row and reads rows.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from core import tasks
from core.clock import Clock, SystemClock
from core.errors import RetryLater, TickerdError
from core.files import read_text
from core.logs import get_logger
from core.notify import Notifier, beat_interval_s
from core.settings import Settings
from market.sessions import build_calendar
from screener import export
from screener.jobs.market import Market
from screener.jobs.request import Request, read_request
from screener.jobs.scan import Outcome
from screener.schedule import Now, Ran, due, minute_of
from screener.service import Service, new_id
from screener.store import Store
from storage import scans
from storage.runs import DAILY_BARS, completed_at
from storage.writer import Writer

log = get_logger(__name__)

SERVICE = "screener"
POLL_S = 0.5
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
        self._ran = Ran()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._shown: dict[str, int] = {}
        self._housekept_at: datetime | None = None
        self._rated_at: datetime | None = None
        self.done = self.failed = 0

    async def step(self) -> None:
        """Look once at everything that may be due; RetryLater while the database is away."""
        pending, to_cancel = await asyncio.to_thread(scans.waiting, self._service.store.engine)
        for scan_id in to_cancel:
            self._service.cancel(scan_id)
        room = AT_ONCE - len(self._asked)
        if pending and room:
            for asked in await asyncio.to_thread(scans.take, self._writer, at=self._clock.utc_now(), limit=room):
                self._begin(asked)
        await asyncio.to_thread(self._show_progress)
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
        except TickerdError as error:
            self._keep_failure(asked.id, error)
        except Exception as error:  # a fault of this program: who asked is told, and the log has it whole
            self._keep_failure(asked.id, TickerdError(f"the scan engine failed: {error!r}"))
            raise

    def _keep_failure(self, scan_id: str, error: TickerdError) -> None:
        said = error.pointed() if hasattr(error, "pointed") else str(error)
        failure = {"stage": "universe_loading", "ticker": None, "error": str(error)}
        ended = scans.Ended(status="failed", values={"error": said}, results=[], errors=[failure])
        scans.end(self._writer, scan_id, ended, at=self._clock.utc_now())
        self.failed += 1

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
            request = read_request(row["request"])
            outcome = self._service.run(request, scan_id=scan_id, load=load)
        except TickerdError as error:
            self._keep_failure(scan_id, error)
            scans.note_run(self._writer, name, scan_id, at=at)
            return
        self._service.keep(self._writer, scan_id, request, outcome)
        self._renew(name, scan_id, outcome)
        self.done += 1

    def _renew(self, name: str, scan_id: str, outcome: Outcome) -> None:
        at, whole = self._clock.utc_now(), outcome.status == "complete"
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


async def _step(engine: Engine) -> None:
    try:
        await engine.step()
    except RetryLater as error:
        log.warning("screener_waits", error=str(error))


async def _first_of(*waited: asyncio.Future[Any] | Coroutine[Any, Any, Any]) -> None:
    """Wait for one of them; a pause that was not needed any more is let go, work goes on."""
    futures = [asyncio.ensure_future(one) for one in waited]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await tasks.cancel_all([futures[-1]])


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock | None = None) -> None:
    """Work until asked to stop; a database that is away is waited for."""
    clock = clock or SystemClock()
    writer = await asyncio.to_thread(Writer.open, settings.database.url, service=SERVICE, origin=None, clock=clock)
    store = await asyncio.to_thread(Store, settings, service=SERVICE, clock=clock)
    with writer, closing(store):
        engine = Engine(settings, Service(settings, store, clock), writer, clock)
        abandoned = await asyncio.to_thread(scans.abandon, writer, at=clock.utc_now())
        notifier.ready()
        log.info("screener_started", abandoned=abandoned)
        pulse = Pulse(engine, notifier, beat_interval_s(settings.supervisor.heartbeat_timeout_s), clock)
        stopping = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            step = asyncio.ensure_future(_step(engine))
            begun_s = clock.monotonic_s()
            while not step.done() and not stop.is_set():
                if clock.monotonic_s() - begun_s < LONGEST_STEP_S:
                    pulse.beat()
                await _first_of(step, stopping, clock.sleep(POLL_S))
            if stop.is_set():
                await engine.finish()
            await step
            pulse.beat()
            await _first_of(stopping, clock.sleep(POLL_S))
        notifier.stopping()
        await engine.finish()
        await tasks.cancel_all([stopping])
    log.info("screener_stopped", scans_done=engine.done, scans_failed=engine.failed)
