"""What each scanner is given: settings, time, calendar, heartbeat, network, database. Scans nothing itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Engine

from core import tasks
from core.clock import Clock, SystemClock
from core.errors import FixByHand, Unreachable
from core.files import make_folder, read_text
from core.flight import FlightRecorder
from core.logs import Sparing, get_logger
from core.notify import Notifier
from core.progress import Progress, Reporter
from core.settings import Settings
from market.eastern import local_date
from market.sessions import Calendar, Session, build_calendar
from net.budget import Budget
from net.origin import Origin, probe_origin
from net.tls import Trust, build_trust
from scanners.pulse import Pulse
from storage.engine import open_reader_engine
from storage.universe import TickerRow, read_tickers
from storage.writer import Writer

log = get_logger(__name__)
T = TypeVar("T")

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


def no_report(_progress: Progress) -> None:
    """The reporter of a process without a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One scanner's surroundings. `once`: do one cycle and end, failing where a supervised run would wait."""

    name: str
    settings: Settings
    clock: Clock
    calendar: Calendar
    pulse: Pulse
    stop: asyncio.Event
    trust: Trust
    budget: Budget
    once: bool
    refusals: Sparing
    """A ticker whose numbers are refused is named once an hour, however often it is asked for."""
    flight: FlightRecorder | None
    """Keeps what comes as it came; None where the settings do not ask for it."""

    @classmethod
    def build(
        cls,
        name: str,
        settings: Settings,
        stop: asyncio.Event,
        notifier: Notifier,
        *,
        clock: Clock | None = None,
        report: Reporter = no_report,
        once: bool = False,
    ) -> Context:
        """Make the surroundings of scanner `name`; FixByHand if calendar, CA file or state folder are wrong."""
        clock = clock or SystemClock()
        state_dir = make_folder(Path(settings.state.dir))
        network = settings.network
        return cls(
            name=name,
            settings=settings,
            clock=clock,
            calendar=build_calendar(settings.market, read=read_text),
            pulse=Pulse(notifier, clock, report, heartbeat_timeout_s=settings.supervisor.heartbeat_timeout_s),
            stop=stop,
            trust=build_trust(ca_file=network.ca_file, state_dir=state_dir),
            budget=Budget(state_dir, start_per_s=network.start_requests_per_s, max_per_s=network.max_requests_per_s),
            once=once,
            refusals=Sparing(every_s=3600.0),
            flight=_flight_recorder(name, settings, clock),
        )

    def session(self) -> Session | None:
        """Return the session that numbers of this moment belong to: the open one, else the one just over."""
        now = self.clock.utc_now()
        return self.calendar.session_at(now) or self.calendar.last_session(now)

    def session_date(self) -> date:
        """Return the date that numbers of this moment belong to."""
        session = self.session()
        return session.session_date if session else local_date(self.clock.utc_now(), self.calendar.zone_name)

    async def wait(self, duration_s: float) -> bool:
        """Wait `duration_s` or until asked to stop; True if asked to stop."""
        waiting = [asyncio.ensure_future(self.stop.wait()), asyncio.ensure_future(self.clock.sleep(duration_s))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(list(waiting))
        return self.stop.is_set()


def _flight_recorder(name: str, settings: Settings, clock: Clock) -> FlightRecorder | None:
    wanted_mb = {"prices": settings.prices.flight_recorder_mb, "metrics": settings.metrics.flight_recorder_mb}
    if not (limit_mb := wanted_mb.get(name, 0)):
        return None
    folder = Path(settings.state.dir) / "flight" / name
    return FlightRecorder(folder, scanner=name, limit_mb=limit_mb, clock=clock)


async def origin_of(context: Context, url: str) -> Origin | None:
    """Return whose data `url` serves, waiting until it answers; None if asked to stop before that.

    With `once`, an upstream that does not answer is an error: Unreachable, exit 69.
    """
    host = urlsplit(url).hostname or url
    retry_s = FIRST_RETRY_S
    while not context.stop.is_set():
        try:
            origin = await probe_origin(url, trust=context.trust, proxy=context.settings.network.proxy)
        except Unreachable as error:
            if context.once:
                raise
            context.pulse.unreachable(str(error))
            log.warning("upstream_unreachable", host=host, error=str(error), retry_s=retry_s)
            await context.wait(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(LONGEST_RETRY_S, retry_s * 2)
        else:
            context.pulse.reached()
            context.pulse.facts["origin"] = origin
            return origin
    return None


def open_writer(context: Context, origin: Origin) -> Writer:
    """Open the database for data of this origin."""
    url = context.settings.database.url
    return Writer.open(url, service=context.name, origin=origin, clock=context.clock)


async def load_tickers(context: Context) -> list[TickerRow]:
    """Return the listed tickers; FixByHand if the table is empty."""
    rows = await asyncio.to_thread(reading, context, read_tickers)
    if not rows:
        raise FixByHand("stocks_stock holds no tickers", right="start `tickerd run`, or `tickerd universe import FILE`")
    return rows


def reading(context: Context, read: Callable[[Engine], T]) -> T:
    """Return what `read` finds through a read-only connection."""
    engine = open_reader_engine(context.settings.database.url, service=context.name)
    try:
        return read(engine)
    finally:
        engine.dispose()


Work = Callable[[Context], Awaitable[int | None]]


async def run_scanner(context: Context, work: Work) -> int | None:
    """Run `work` with its heartbeat beside it, and its flight recorder if there is one."""
    if context.flight is not None:
        context.flight.start()
    beating = tasks.spawn(
        context.pulse.run(context.stop),
        name="pulse",
        on_error=lambda error: log.error("pulse_failed", error=str(error)),
    )
    try:
        return await work(context)
    finally:
        context.pulse.beat()  # what the last cycle came to
        context.pulse.stopping()
        await tasks.cancel_all([beating])
        if context.flight is not None:
            await asyncio.to_thread(context.flight.close)


def minute_of(at: datetime) -> datetime:
    """Return the start of the minute that `at` lies in."""
    return at.replace(second=0, microsecond=0)
