"""The same streams as server-sent events: for pages and for whatever reads lines. One channel's number is its id."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.context import context_of
from api.principals import principal_of
from api.problems import Problem
from api.schemas import Asked, Line, ScanId
from api.streams import views
from api.streams.doors import Doors, Stream
from api.streams.listener import EVENTS, SIGNALS, Piece
from api.streams.opening import address_of, new_stream, tickers_named, want_numbered, want_scan
from api.streams.protocol import LONGEST_THROTTLE_MS
from api.streams.sending import Sender, side_by_side
from storage.schema import LARGEST_WHOLE

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
MEDIA_TYPE = "text/event-stream"
BEAT = b":\n\n"
RETRY = b"retry: 2000\n\n"
"""How soon a browser comes again, in milliseconds."""
POSITION = re.compile(r"([a-z0-9_\-]{1,64})=(\d{1,19})", re.IGNORECASE)
TICKERS = r"^[A-Za-z0-9.^=,*\-]*$"

Name = Literal["quotes", "signals", "events", "scanners", "scan"]


class StreamQuery(Asked):
    channels: str = Field(pattern=r"^(quotes|signals|events|scanners|scan)(,(quotes|signals|events|scanners|scan))*$")
    tickers: str = Field("", max_length=16_000, pattern=TICKERS, description="Of quotes; empty: all.")
    scan_id: ScanId | None = Field(None, description="Of the channel scan.")
    from_seq: int | None = Field(None, ge=0, le=LARGEST_WHOLE, description="Begin after this number.")
    throttle_ms: int = Field(0, ge=0, le=LONGEST_THROTTLE_MS, description="Least time between two frames.")
    ticket: Line = Field("", description="Of POST /api/v1/auth/ticket, in place of a header.")


class ScanStreamQuery(Asked):
    from_seq: int | None = Field(None, ge=0, le=LARGEST_WHOLE, description="Begin after this number.")
    ticket: Line = Field("", description="Of POST /api/v1/auth/ticket, in place of a header.")


async def stream(request: Request, query: Annotated[StreamQuery, Query()]) -> Response:
    """Follow quotes, signals, events, scanners or a scan as server-sent events."""
    names = set(query.channels.split(","))
    if "scan" in names and query.scan_id is None:
        raise Problem(422, "wrong_request", "scan_id: name the scan")
    position = position_of(request.headers.get("last-event-id", ""), query.from_seq)
    opened = new_stream(request, principal_of(request), "sse", of_scan=names == {"scan"})

    async def begin() -> None:
        context, listener = context_of(request), opened.listener
        if query.scan_id is not None and "scan" in names:
            await want_scan(context, listener, query.scan_id, position(query.scan_id) or 0)
        for name in names & {SIGNALS, EVENTS}:
            await want_numbered(context, listener, name, position(name))
        if "scanners" in names:
            listener.want_states()
        if "quotes" in names:
            named = tickers_named(query.tickers)
            listener.want_quotes(named, snapshot=named is not None)

    return await _opened(request, opened, views.CANONICAL, begin, throttle_s=query.throttle_ms / 1000)


async def scan_progress(
    request: Request, scan_id: Annotated[ScanId, Path()], query: Annotated[ScanStreamQuery, Query()]
) -> Response:
    """Follow a scan's progress as server-sent events: the object of /scan/progress."""
    opened = new_stream(request, principal_of(request), "sse", of_scan=True)

    async def begin() -> None:
        await want_scan(context_of(request), opened.listener, scan_id, query.from_seq or 0)

    return await _opened(request, opened, views.FLAT, begin)


async def _opened(
    request: Request, opened: Stream, style: views.Style, begin: Callable[[], Awaitable[None]], throttle_s: float = 0.0
) -> Response:
    """Take a place, begin to listen, and return the answer that goes on."""
    doors = context_of(request).doors
    place = doors.opened(opened, address_of(request))
    place.__enter__()
    try:
        await begin()
    except BaseException:
        place.__exit__(None, None, None)
        raise

    def leave() -> None:
        place.__exit__(None, None, None)

    return EventStream(doors, opened, style, leave, throttle_s)


def position_of(last_event_id: str, from_seq: int | None) -> Callable[[str], int | None]:
    """Return what tells the number to begin after, by channel: of the last event, else the one asked for."""
    named = {name: int(seq) for name, seq in POSITION.findall(last_event_id)}
    only = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else from_seq

    def position(name: str) -> int | None:
        seq = named.get(name, only)
        return None if seq is None else min(seq, LARGEST_WHOLE)

    return position


class EventStream(Response):
    """An answer that has no end until the client goes, its scan is over or the server stops."""

    def __init__(
        self, doors: Doors, opened: Stream, style: views.Style, leave: Callable[[], None], throttle_s: float
    ) -> None:
        super().__init__(headers=HEADERS, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._doors, self._opened, self._style, self._leave = doors, opened, style, leave
        self._throttle_s = throttle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_gone = False

        async def wait_until_gone() -> None:
            nonlocal has_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            has_gone = True

        async def put(pieces: Sequence[Piece]) -> int:
            frames = [frame for piece in pieces if (frame := self._frame(piece))]
            if frames or not pieces:
                body = b"".join(frames) or BEAT
                await send({"type": "http.response.body", "body": body, "more_body": True})
            return len(frames)

        sender = Sender(self._doors, self._opened, put)
        sender.throttle_s = self._throttle_s
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": RETRY, "more_body": True})
            await side_by_side(sender, self._opened, wait_until_gone)
            if not has_gone and self._opened.ending != "slow":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._leave()

    def _frame(self, piece: Piece) -> bytes:
        text = views.written(piece, self._style)
        if text is None:
            return b""
        mark = b"id: %b\n" % self._opened.listener.mark_of(piece).encode() if piece.seq else b""
        return b"%bdata: %b\n\n" % (mark, text)
