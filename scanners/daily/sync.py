"""A look at the universe by hand, beside whatever runs. Refreshes no quote."""

from __future__ import annotations

from typing import Any

from core.errors import FixByHand
from net.client import HttpClient
from scanners.context import Context, open_writer, origin_of
from scanners.daily.asker import Asker
from scanners.daily.universe import refresh_universe
from scanners.lane import DirectLane
from yahoo.screener import URL


async def sync(context: Context) -> dict[str, Any]:
    """Look at all sources now and return the counts; Unreachable if Yahoo does not answer.

    It counts for the newest session that is over: the look of the one that still runs is the daily refresh's.
    """
    now = context.clock.utc_now()
    session = context.calendar.last_session(now) or context.calendar.session_at(now)
    if session is None:
        raise FixByHand("the calendar has no session yet", key="market.calendar", right="list sessions of the past")
    origin = await origin_of(context, URL)
    if origin is None:
        return {}
    writer = open_writer(context, origin)
    try:
        async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
            asker = Asker(context, DirectLane(context, http))
            return await refresh_universe(context, writer, asker, session, by_hand=True)
    finally:
        writer.close()
