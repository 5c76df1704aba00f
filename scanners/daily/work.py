"""The daily scanner at work: once for each session that is over, everything; killed at any point, it goes on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from core.errors import EXIT_DONE, EXIT_TRY_LATER, RetryLater, Unreachable
from core.logs import get_logger
from market.sessions import Session, due_session
from net.client import HttpClient
from scanners.context import Context, load_tickers, open_writer, origin_of, reading
from scanners.daily import plan
from scanners.daily.asker import Asker
from scanners.daily.audit import audit, show_newest
from scanners.daily.charts import Charts
from scanners.daily.fundamentals import Fundamentals
from scanners.daily.meter import Meter
from scanners.daily.night import Night, Superseded
from scanners.daily.plan import Left
from scanners.daily.quotes import Quotes
from scanners.daily.record import Record
from scanners.daily.universe import refresh_universe
from scanners.lane import DirectLane, Stopped
from storage.engine import open_reader_engine
from storage.runs import last_session_done
from storage.writer import Writer
from yahoo.quote import URL

log = get_logger(__name__)

ROUNDS = 3
"""A round may leave something: a chart that fundamentals have asked for, a batch that nobody answered."""
LATENCY_S = 0.3
"""Of a request, until it is known: what a home connection measures."""


async def work(context: Context) -> int | None:
    """Refresh the newest session that is due and not yet done; say "not due" and end well otherwise."""
    await asyncio.to_thread(show_newest, context)
    while True:
        session = due_session(context.calendar, context.clock.utc_now(), at=context.settings.daily.at)
        if session is None:
            return _not_due(context, "no session is over yet")
        done = await asyncio.to_thread(reading, context, partial(last_session_done, scanner="daily"))
        if done is not None and done >= session.session_date:  # later if the clock was set back since
            return _not_due(context, f"{done} is done")
        origin = await origin_of(context, URL)
        if origin is None:
            return None
        writer = open_writer(context, origin)
        try:
            return await refresh(context, writer, session)
        except Superseded as reason:
            log.warning("daily_superseded", session=str(session.session_date), reason=reason.reason)
        except Stopped:
            return EXIT_TRY_LATER  # not 0: that would mean that the session is done
        finally:
            writer.close()


def _not_due(context: Context, reason: str) -> int:
    log.info("daily_not_due", reason=reason)
    context.pulse.say(f"not due: {reason}")
    context.pulse.ready()
    return EXIT_DONE


async def refresh(context: Context, writer: Writer, session: Session) -> int:
    """Bring every listed ticker to the session's end; 75 if some are still to be asked."""
    listed = await load_tickers(context)
    context.pulse.ready()
    settings, engine = context.settings, open_reader_engine(context.settings.database.url, service=context.name)
    http = HttpClient(ca_path=context.trust.ca_path, proxy=settings.network.proxy, max_clients=settings.daily.threads)
    try:
        async with http:
            lane = DirectLane(context, http, patient=lambda: _is_in_session(context))
            night = Night(
                context=context,
                writer=writer,
                engine=engine,
                lane=lane,
                asker=Asker(context, lane),
                session=session,
                before=plan.session_before(context.calendar, session),
                meter=Meter(now_s=context.clock.monotonic_s(), expected_per_s=_pace(context)),
            )
            return await _recorded(night, expected=len(listed))
    finally:
        engine.dispose()


def _is_in_session(context: Context) -> bool:
    """Whether prices and metrics need the lane: then it is theirs."""
    return not context.calendar.endless and context.calendar.session_at(context.clock.utc_now()) is not None


def _pace(context: Context) -> float:
    settings = context.settings
    return min(settings.network.max_requests_per_s, settings.daily.threads / LATENCY_S)


async def _recorded(night: Night, *, expected: int) -> int:
    """Run the stages with their record; whatever ends them, it says how far they came."""
    record = await asyncio.to_thread(Record.begin, night, expected=expected)
    try:
        await stages(night, record)
        record.ended = ""
    except (Stopped, Superseded) as ended:
        record.ended = ended.reason
        raise
    finally:
        left = await night.look()
        await asyncio.to_thread(record.end, left)
    return EXIT_DONE if left.is_empty else EXIT_TRY_LATER


async def _universe(night: Night) -> dict[str, Any]:
    """Bring the list of tickers to what the sources say; a night is worth having without it."""
    try:
        return await refresh_universe(night.context, night.writer, night.asker, night.session)
    except (Stopped, Unreachable):
        raise
    except RetryLater as error:
        log.warning("universe_skipped", error=str(error))
        return {"skipped": str(error)}


async def stages(night: Night, record: Record) -> None:
    """Do what is left of each stage; what a stage leaves or finds out is done in the next round."""
    record.more["universe"] = await _universe(night)
    for _ in range(ROUNDS):
        left = await _look(night, record)
        if left.is_empty:
            break
        record.estimate(left)
        await Quotes(night).run(left.quotes)
        left = await _look(night, record)
        night.to_come = len(left.charts)
        await Fundamentals(night).run(left.fundamentals)
        left = await night.look()
        night.to_come = 0
        await Charts(night).run(left.charts)
    if (await _look(night, record)).is_empty:
        record.more["audit"] = await audit(night.context, night.writer, night.asker, night.session)


async def _look(night: Night, record: Record) -> Left:
    left = await night.look()
    await asyncio.to_thread(record.bars, left)
    return left
