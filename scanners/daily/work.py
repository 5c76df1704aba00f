"""The daily scanner at work: once for each session that is over, all quotes and the session's bars."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from core.errors import EXIT_DONE, EXIT_TRY_LATER
from core.logs import get_logger
from market.quotes import Quote
from market.sessions import Session, due_session, is_price_time
from net.client import HttpClient
from scanners.context import Context, load_tickers, open_writer, origin_of, reading
from scanners.lane import DirectLane
from scanners.quote_cycle import QuoteCycle
from storage.daily_bars import DailyBar, write_daily_bars
from storage.runs import last_complete
from storage.writer import Writer
from yahoo.quote import URL

log = get_logger(__name__)

LONGEST_S = 3 * 3600.0
"""A pass that takes longer than this ends as partial, and the next start goes on."""


async def work(context: Context) -> int | None:
    """Refresh the newest session that is due and not yet done; say "not due" and end well otherwise."""
    session = due_session(context.calendar, context.clock.utc_now(), at=context.settings.daily.at)
    if session is None:
        return _not_due(context, "no session is over yet")
    done = partial(last_complete, scanner="daily", session_date=session.session_date)
    if await asyncio.to_thread(reading, context, done):
        return _not_due(context, f"{session.session_date} is done")
    origin = await origin_of(context, URL)
    if origin is None:
        return None
    writer = open_writer(context, origin)
    try:
        return await refresh(context, writer, session)
    finally:
        writer.close()


def _not_due(context: Context, reason: str) -> int:
    log.info("daily_not_due", reason=reason)
    context.pulse.say(f"not due: {reason}")
    context.pulse.ready()
    return EXIT_DONE


async def refresh(context: Context, writer: Writer, session: Session) -> int:
    """Ask for all tickers once; 75 if some are still to be asked."""
    tickers = [row.ticker for row in await load_tickers(context)]
    context.pulse.ready()
    settings = context.settings
    async with HttpClient(ca_path=context.trust.ca_path, proxy=settings.network.proxy) as http:
        cycle = QuoteCycle(
            context,
            writer,
            DirectLane(context, http),
            group="daily",
            session=session,
            after_write=partial(_write_bars, writer, session),
        )
        result = await cycle.run(tickers, concurrency=settings.metrics.concurrency, deadline_s=LONGEST_S)
    if result.updated and not cycle.counts["bars"]:
        # Asked after the next open: the quotes speak of another session, and only a chart could tell of this one.
        log.warning("daily_bars_missed", session=str(session.session_date), tickers=result.updated)
    return EXIT_DONE if result.status == "complete" else EXIT_TRY_LATER


def _write_bars(writer: Writer, session: Session, quotes: Sequence[Quote]) -> dict[str, int]:
    result = write_daily_bars(writer, [bar for quote in quotes if (bar := bar_of(quote, session)) is not None])
    return {"bars": result.written, "bars_refused": result.refused}


def bar_of(quote: Quote, session: Session) -> DailyBar | None:
    """Return the session's bar from a quote asked after the close, or None if the ticker did not trade in it."""
    numbers = (quote.open_price, quote.days_high, quote.days_low, quote.current_price)
    if quote.price_time is None or not is_price_time(session, quote.price_time) or not quote.volume:
        return None
    opened, high, low, close = numbers
    if opened is None or high is None or low is None or close is None:
        return None
    return DailyBar(
        ticker=quote.ticker,
        session_date=session.session_date,
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=None,
        volume=quote.volume,
        source="quote",
    )
