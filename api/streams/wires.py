"""Sending, reading and closing one WebSocket. Knows what nobody listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from api.problems import Problem, problem_response
from api.streams.doors import Doors, Stream
from api.streams.protocol import AUTH, BAD, FORBIDDEN, GONE, LATER, OVER, SLOW, TOO_MANY, UNKNOWN, BadMessage
from api.streams.sending import Sender, side_by_side

CLOSE_WITHIN_S = 1.0
LONGEST_REASON = 120
"""Of the 125 bytes of a control frame two are the code's (RFC 6455, section 5.5)."""
CODES = {401: AUTH, 403: FORBIDDEN, 404: UNKNOWN, 429: TOO_MANY, 503: LATER}

Close = tuple[int, str]


async def say(websocket: WebSocket, text: bytes) -> None:
    await websocket.send({"type": "websocket.send", "text": text.decode()})


async def heard(websocket: WebSocket) -> str:
    """Return what the client says; BadMessage if that is no text."""
    try:
        return await websocket.receive_text()
    except KeyError:
        raise BadMessage("is no text", right="say JSON in a text frame") from None


async def refuse(websocket: WebSocket, problem: Problem) -> None:
    """Refuse a client: an HTTP answer before the handshake, a close code after it."""
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.send_denial_response(problem_response(websocket.scope, problem))
    else:
        await close(websocket, CODES.get(problem.status, BAD), problem.detail)


async def close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close, if the client is still there and takes it within a second."""
    if WebSocketState.DISCONNECTED in (websocket.client_state, websocket.application_state):
        return
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it has gone meanwhile
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await websocket.close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))


async def converse(
    websocket: WebSocket, doors: Doors, stream: Stream, sender: Sender, read: Callable[[], Awaitable[None]]
) -> None:
    """Send and read until either ends, then close and say why."""
    error = await side_by_side(sender, stream, read)
    if (said := _why(doors, stream, error)) is not None:
        await close(websocket, *said)


def _why(doors: Doors, stream: Stream, error: BaseException | None) -> Close | None:
    """Return what the socket is closed with; None: the client has gone."""
    if stream.ending == "slow":
        return SLOW, f"too slow; come again with since {stream.listener.position}"
    if stream.ending == "auth":
        return AUTH, "signed out, or may no longer read"
    if stream.ending == "idle":
        return OVER, "nothing more came"
    if error is None:
        return (GONE, "the server stops; come again") if doors.closing else (OVER, "complete")
    if isinstance(error, WebSocketDisconnect):
        return None
    doors.counts.errors[stream.transport, "bad_message" if isinstance(error, BadMessage) else "failed"] += 1
    if isinstance(error, BadMessage):
        return BAD, str(error)
    if isinstance(error, Problem):
        return CODES.get(error.status, BAD), error.detail
    return LATER, "come again in some seconds"
