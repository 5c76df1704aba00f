"""What every kind of stream does when it opens: a listener, a start in each channel. Knows no transport."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

from api.context import Context, context_of
from api.principals import Principal, allowed
from api.problems import Problem
from api.streams.doors import Stream, Transport
from api.streams.listener import Listener
from api.streams.protocol import ticker_named

SCOPE = "read"
SCAN_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
TICKERS = re.compile(r"[A-Za-z0-9.^=,*\-]{0,16000}\Z")


def new_stream(
    connection: HTTPConnection, principal: Principal, transport: Transport, *, of_scan: bool = False
) -> Stream:
    """Return a stream that listens to nothing yet; Problem 401 or 403."""
    listener = listener_of(context_of(connection))
    return Stream(allowed(principal, SCOPE), transport, connection.url.path, listener, of_scan)


def listener_of(context: Context) -> Listener:
    return Listener(context.hub, context.sources, context.rows)


def tickers_named(text: str) -> frozenset[str] | None:
    """Return the tickers of `AAPL,MSFT`; None, for all, if there are none or a `*`. Problem 422."""
    if not TICKERS.match(text):
        raise Problem(422, "wrong_request", "tickers: give at most 16,000 characters like AAPL,BRK-B")
    named = frozenset(ticker_named(ticker) for ticker in text.split(",") if ticker)
    return None if "*" in named or not named else named


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


async def want_numbered(context: Context, listener: Listener, name: str, since: int | None) -> None:
    """Listen to signals or events after number `since`; None: from now on."""
    await context.sources.open_numbered(name)
    listener.want_numbered(name, since)
    if since is not None:
        context.doors.counts.resumes["ok" if listener.wants.since[name] == since else "reset"] += 1


async def want_scan(context: Context, listener: Listener, scan_id: str, since: int) -> None:
    """Listen to a scan, its results after number `since`, all of them if it has none of that number; Problem 404."""
    if not SCAN_ID.match(scan_id) or not await context.sources.is_scan(scan_id):
        raise Problem(404, "unknown_scan", "there is no such scan")
    listener.want_scan(scan_id, since)
    await context.sources.look_at_scans([scan_id])
    is_known = since <= context.hub.scan(scan_id).newest
    if not is_known:
        listener.want_scan(scan_id)
    if since:
        context.doors.counts.resumes["ok" if is_known else "reset"] += 1
