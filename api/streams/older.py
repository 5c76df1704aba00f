"""The older WebSocket paths: each tells one thing of the hub, one object a frame, in the words of its time."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from fastapi import WebSocket

from api.context import context_of
from api.principals import principal_of
from api.problems import Problem
from api.streams import views
from api.streams.doors import Stream
from api.streams.listener import EVENTS, SIGNALS, Piece
from api.streams.opening import address_of, new_stream, tickers_named, want_numbered, want_scan
from api.streams.sending import Sender
from api.streams.wires import converse, heard, refuse, say
from storage.schema import LARGEST_WHOLE

SEQ = re.compile(r"[0-9]{1,19}\Z")
Begin = Callable[[Stream], Awaitable[None]]


async def _tell(websocket: WebSocket, style: views.Style, begin: Begin, *, of_scan: bool = False) -> None:
    """Tell what `begin` has the stream listen to."""
    context = context_of(websocket)

    async def send(pieces: Sequence[Piece]) -> int:
        told = [text for piece in pieces if (text := views.written(piece, style)) is not None]
        for text in told:
            await say(websocket, text)
        return len(told)

    async def read() -> None:
        while True:  # what such clients say, a ping in words, wants no answer
            await heard(websocket)

    try:
        opened = new_stream(websocket, principal_of(websocket), "websocket", of_scan=of_scan)
        with context.doors.opened(opened, address_of(websocket)):
            await begin(opened)
            await websocket.accept()
            await converse(websocket, context.doors, opened, Sender(context.doors, opened, send), read)
    except Problem as problem:
        await refuse(websocket, problem)


async def _tell_scan(websocket: WebSocket, style: views.Style) -> None:
    async def begin(opened: Stream) -> None:
        since = _from_seq(websocket) or 0
        await want_scan(context_of(websocket), opened.listener, websocket.path_params["scan_id"], since)

    await _tell(websocket, style, begin, of_scan=True)


def _from_seq(websocket: WebSocket) -> int | None:
    """Return the number to begin after; Problem 422."""
    text = websocket.query_params.get("from_seq", "")
    if text and not SEQ.match(text):
        raise Problem(422, "wrong_request", "from_seq: give a whole number")
    return min(int(text), LARGEST_WHOLE) if text else None


async def scan_enveloped(websocket: WebSocket) -> None:
    """Tell a scan's progress and results: {type, data}."""
    await _tell_scan(websocket, views.ENVELOPED)


async def scan_flat(websocket: WebSocket) -> None:
    """Tell a scan's progress: the object of /scan/progress."""
    await _tell_scan(websocket, views.FLAT)


async def scan_results(websocket: WebSocket) -> None:
    """Tell a scan's results as they come, then that it is complete."""
    await _tell_scan(websocket, views.TYPED)


async def signals(websocket: WebSocket) -> None:
    """Tell signals as they enter, change and leave."""

    async def begin(opened: Stream) -> None:
        await want_numbered(context_of(websocket), opened.listener, SIGNALS, _from_seq(websocket))

    await _tell(websocket, views.SIGNALS, begin)


async def market_data(websocket: WebSocket) -> None:
    """Tell quotes as they change; of these tickers, or of all."""

    async def begin(opened: Stream) -> None:
        opened.listener.want_quotes(
            named := tickers_named(websocket.query_params.get("tickers", "")), snapshot=bool(named)
        )

    await _tell(websocket, views.QUOTES, begin)


async def scanner_status(websocket: WebSocket) -> None:
    """Tell how the scanners are and what happens to them."""

    async def begin(opened: Stream) -> None:
        opened.listener.want_states()
        await want_numbered(context_of(websocket), opened.listener, EVENTS, _from_seq(websocket))

    await _tell(websocket, views.SCANNERS, begin)
