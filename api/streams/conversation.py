"""The stream of /api/v1 over WebSocket: a client says what it listens to and is told that. Decides nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from api.auth.holders import kind_of
from api.context import context_of
from api.principals import Principal, principal_of
from api.problems import Problem, problem_of
from api.streams import protocol, views
from api.streams.doors import Stream
from api.streams.listener import EVENTS, SIGNALS, Listener, Piece
from api.streams.opening import address_of, listener_of, new_stream, want_numbered, want_scan
from api.streams.protocol import BadMessage
from api.streams.sending import Sender
from api.streams.wires import close, converse, heard, refuse, say
from core.errors import RetryLater

AUTH_WITHIN_S = 10.0


async def stream(websocket: WebSocket) -> None:
    """The stream of everything: say what you listen to."""
    try:
        principal = await _known(websocket)
        opened = new_stream(websocket, principal, "websocket")
        with context_of(websocket).doors.opened(opened, address_of(websocket)):
            await websocket.accept() if principal is principal_of(websocket) else None
            await Conversation(websocket, opened).run()
    except (Problem, RetryLater) as error:
        await refuse(websocket, problem_of(error))
    except BadMessage as error:
        await close(websocket, protocol.BAD, str(error))
    except TimeoutError:
        await close(websocket, protocol.AUTH, f"nobody signed in within {AUTH_WITHIN_S:g} s")
    except WebSocketDisconnect:
        pass  # before it had said anything


async def _known(websocket: WebSocket) -> Principal:
    """Return who asks: by its header, cookie or ticket, else by its first message; Problem 401."""
    principal = principal_of(websocket)
    if principal.kind != "anonymous":
        return principal
    context = context_of(websocket)
    held = Stream(principal, "websocket", websocket.url.path, listener_of(context))
    with context.doors.opened(held, address_of(websocket)):
        await websocket.accept()
        await say(websocket, protocol.auth_required())
        async with asyncio.timeout(AUTH_WITHIN_S):
            said = protocol.read(await heard(websocket))
        if not isinstance(said, protocol.Auth):
            raise Problem(401, "not_signed_in", "say who you are first")
        found = await context.accounts.holders.holder(said.token, kind_of(said.token))
    if found is None:
        await say(websocket, protocol.auth_invalid("this token or key is unknown or over"))
        raise Problem(401, "credential_invalid", "this token or key is unknown or over")
    await say(websocket, protocol.auth_ok(found.name))
    return found


class Conversation:
    """One client that may read."""

    def __init__(self, websocket: WebSocket, opened: Stream) -> None:
        self._websocket, self._opened, self._context = websocket, opened, context_of(websocket)
        self._listener: Listener = opened.listener
        self._sender = Sender(self._context.doors, opened, self._send)

    async def run(self) -> None:
        await converse(self._websocket, self._context.doors, self._opened, self._sender, self._read)

    async def _read(self) -> None:
        """Do what the client says, until it goes."""
        while True:
            said = protocol.read(await heard(self._websocket))
            if isinstance(said, protocol.Ping):
                await say(self._websocket, protocol.pong(said.id))
            elif isinstance(said, protocol.Subscribe):
                self._listener.hold()
                await say(self._websocket, await self._subscribed(said))
                self._listener.release()
            elif isinstance(said, protocol.Unsubscribe):
                self._unsubscribe(said.channels)
                await say(self._websocket, protocol.result(said.id, self._listener.subscriptions))

    async def _subscribed(self, said: protocol.Subscribe) -> bytes:
        """Listen, and return the answer: all that is listened to now, or what cannot be."""
        channels, listener = said.channels, self._listener
        if len(listener.wants.scans) + len(channels.scan or ()) > protocol.MOST_SCANS:
            return protocol.failure(said.id, "too_many_scans", f"at most {protocol.MOST_SCANS} scans in one stream")
        try:
            for scan_id in channels.scan or ():
                await want_scan(self._context, listener, scan_id, said.since.get(scan_id, 0))
        except Problem as problem:
            return protocol.failure(said.id, problem.code, problem.detail)
        for name, wanted in ((SIGNALS, channels.signals), (EVENTS, channels.events)):
            if wanted is not None:
                await want_numbered(self._context, listener, name, said.since.get(name))
        if channels.quotes is not None:
            tickers = channels.tickers
            listener.want_quotes(tickers, snapshot=tickers is not None if said.snapshot is None else said.snapshot)
        if channels.scanners is not None:
            listener.want_states()
        self._sender.throttle_s = said.throttle_ms / 1000
        return protocol.result(said.id, listener.subscriptions)

    def _unsubscribe(self, channels: protocol.Channels) -> None:
        listener = self._listener
        if channels.quotes is not None:
            listener.drop_quotes(channels.tickers)
        for name, dropped in ((SIGNALS, channels.signals), (EVENTS, channels.events)):
            if dropped is not None:
                listener.drop_numbered(name)
        if channels.scanners is not None:
            listener.drop_states()
        for scan_id in channels.scan or ():
            listener.drop_scan(scan_id)

    async def _send(self, pieces: Sequence[Piece]) -> int:
        told = [text for piece in pieces if (text := views.written(piece, views.CANONICAL)) is not None]
        await say(self._websocket, b"[" + b",".join(told) + b"]")
        return len(told)
