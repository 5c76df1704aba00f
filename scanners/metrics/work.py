"""The metrics scanner at work: a cycle of quote batches each interval while the market is open."""

from __future__ import annotations

from core.clock import utc_text
from core.errors import FixByHand, RetryLater
from core.logs import get_logger
from net.client import HttpClient
from scanners.context import Context, load_tickers, open_writer, origin_of
from scanners.lane import DirectLane
from scanners.quote_cycle import CycleResult, QuoteCycle
from storage.writer import Writer
from yahoo.quote import URL

log = get_logger(__name__)

DATABASE_RETRY_S = 5.0


async def work(context: Context) -> int | None:
    """Run until asked to stop, or with `once` for one cycle; exit 1 if that one brought nothing."""
    if context.settings.metrics.direct == "never":
        await without_lane(context)
        return None
    origin = await origin_of(context, URL)
    if origin is None:
        return None
    writer = open_writer(context, origin)
    tickers = [row.ticker for row in await load_tickers(context)]
    context.pulse.ready()
    settings = context.settings
    try:
        async with HttpClient(ca_path=context.trust.ca_path, proxy=settings.network.proxy) as http:
            lane = DirectLane(context, http)
            if context.once:
                result = await cycle(context, writer, lane, tickers)
                return 1 if result.status == "failed" else 0
            await cycles(context, writer, lane, tickers)
    finally:
        writer.close()
    return None


async def without_lane(context: Context) -> None:
    """Say that nothing can be asked and wait until asked to stop; with `once` that is an error."""
    reason = 'is "never", and there is no proxy pool to ask through'
    if context.once:
        raise FixByHand(reason, key="metrics.direct", right='set it to "fallback" or "only"')
    log.warning("lane_missing", key="metrics.direct", reason=reason)
    context.pulse.ready()
    context.pulse.say(f"asks nothing: metrics.direct {reason}")
    await context.stop.wait()


async def cycles(context: Context, writer: Writer, lane: DirectLane, tickers: list[str]) -> None:
    """Start a cycle each `interval_s`, the first at the open: before it, the numbers are the last session's."""
    interval_s = context.settings.metrics.interval_s
    while not context.stop.is_set():
        now = context.clock.utc_now()
        if context.calendar.session_at(now) is None:
            opening = context.calendar.next_session(now)
            wait_s = (opening.opens_at - now).total_seconds() if opening else interval_s
            context.pulse.say(
                f"waiting for the open at {utc_text(opening.opens_at)}" if opening else "no session ahead"
            )
            await context.wait(min(wait_s, interval_s))
            continue
        started_s = context.clock.monotonic_s()
        try:
            await cycle(context, writer, lane, tickers)
        except RetryLater as error:
            log.warning("cycle_broken_off", error=str(error), retry_s=DATABASE_RETRY_S)
            context.pulse.facts["database"] = f"unreachable: {error}"
            await context.wait(DATABASE_RETRY_S)
            continue
        context.pulse.facts.pop("database", None)
        await context.wait(interval_s - (context.clock.monotonic_s() - started_s))


async def cycle(context: Context, writer: Writer, lane: DirectLane, tickers: list[str]) -> CycleResult:
    """Ask for all tickers once."""
    settings = context.settings.metrics
    one = QuoteCycle(context, writer, lane, group="metrics", session=context.session())
    return await one.run(tickers, concurrency=settings.concurrency, deadline_s=settings.cycle_deadline_s)
