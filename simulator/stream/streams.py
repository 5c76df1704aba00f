"""The stream's connections: handshake, orders, and one write a connection and second. Decides no price."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from core.logs import get_logger
from simulator.record.ledger import Connection
from simulator.record.truth import Truth
from simulator.stream import wire
from simulator.stream.feed import Feed, Refused, Subscription
from simulator.stream.replay import Frame as Played
from simulator.stream.replay import Playback
from simulator.trouble.catalogue import FORMS
from simulator.trouble.faults import Faults
from simulator.world.walk import Stock

log = get_logger(__name__)

HOST = "streamer.finance.yahoo.com"
READ_BYTES = 65_536
SLOW_CLIENT_BYTES = 8 << 20
"""A client that has not read this much is cut off, so that it cannot fill our memory."""


class StreamConnection:
    """One WebSocket client. `lost`: the connection is half open, nothing gets through any more.

    `said_goodbye`: it was closed in a way that the protocol does not know.
    """

    def __init__(self, writer: asyncio.StreamWriter, faults: Faults, page: Connection) -> None:
        self.writer = writer
        self.page = page
        self.protocol = ServerProtocol()
        self.subscription = Subscription(faults=faults, number=page.number)
        self.lost = self.said_goodbye = False
        self.earlier: dict[str, bytes] = {}
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self.protocol.state is State.OPEN

    def close(self, code: int | None) -> None:
        """Start the closing handshake; without a code the client sees 1005."""
        try:
            self.protocol.send_close(code)
        except ProtocolError:
            # A code that no server may send (RFC 6455 section 7.4); ours does.
            assert code is not None, "a close without a code is in order"
            self.writer.write(wire.frame_of(code.to_bytes(2, "big"), Opcode.CLOSE))
            self.said_goodbye = True
        self.flush()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.writer.write(data)

    def send(self, frames: bytes) -> bool:
        """Write whole frames that were encoded elsewhere; False if the connection cannot take them."""
        if not frames or not self.is_open:
            return False
        if self.writer.transport.get_write_buffer_size() > SLOW_CLIENT_BYTES:
            log.warning("stream_client_too_slow", waiting_bytes=SLOW_CLIENT_BYTES)
            self.writer.transport.abort()
            return False
        self.writer.write(frames)
        return True

    def text_of(self, frame: Frame) -> str | None:
        """Collect fragments; return the text when it is whole."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        text = b"".join(self._parts).decode(errors="replace")
        self._parts.clear()
        return text


class Streams:
    """All clients of the stream."""

    def __init__(self, feed: Feed, faults: Faults, truth: Truth) -> None:
        self._feed = feed
        self._faults = faults
        self._truth = truth
        self.playback: Playback | None = None
        self.connections: set[StreamConnection] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, page: Connection) -> None:
        """Speak to one client until it is gone."""
        connection = StreamConnection(writer, self._faults, page)
        self.connections.add(connection)
        page.outcome = "lost"
        try:
            while not connection.protocol.close_expected():
                data = await reader.read(READ_BYTES)
                await self._faults.thaw(page.number)
                if data and connection.lost:
                    continue
                if data:
                    connection.protocol.receive_data(data)
                else:
                    connection.protocol.receive_eof()
                self._handle_events(connection)
                connection.flush()
                if not data:
                    return
        finally:
            self.connections.discard(connection)
            page.symbols = list(connection.subscription.symbols)
            if closing := connection.protocol.close_sent or connection.protocol.close_rcvd:
                page.outcome = f"closed {int(closing.code)}"

    def publish(self, traded: list[Stock]) -> int:
        """Send each client the newest price of its tickers that traded; return the number of messages."""
        wanted = {symbol for connection in self.connections for symbol in connection.subscription.symbols}
        frames = self._feed.frames(traded, wanted=wanted)
        return sum(self._publish_to(connection, frames) for connection in list(self.connections))

    def play(self, played: Iterable[Played], *, to: Iterable[StreamConnection] | None = None) -> int:
        """Send recorded frames to who subscribed their tickers; return the number of messages."""
        frames: dict[str, list[bytes]] = {}
        for each in played:
            if each.symbol not in self._faults.drop_symbols:
                opcode = wire.TEXT if each.is_text else wire.BINARY
                frames.setdefault(each.symbol, []).append(wire.frame_of(each.payload, opcode))
        sent = 0
        for connection in list(self.connections if to is None else to):
            own = [frame for symbol in connection.subscription.symbols for frame in frames.get(symbol, ())]
            if not self._is_silent(connection) and connection.send(b"".join(own)):
                connection.page.frames += len(own)
                sent += len(own)
        return sent

    def close(self, code: int | None, numbers: tuple[str, ...] = ()) -> None:
        """Close connections: with a code by the closing handshake (0: without a status), with None by a reset."""
        for connection in self._chosen(numbers):
            if code is None:
                connection.page.outcome = "reset"
                reset(connection.writer)
            elif connection.is_open:
                connection.close(code or None)

    def lose(self, numbers: tuple[str, ...] = ()) -> None:
        """Leave connections half open."""
        for connection in self._chosen(numbers):
            connection.lost = True

    def _chosen(self, numbers: tuple[str, ...]) -> list[StreamConnection]:
        return [each for each in self.connections if not numbers or str(each.page.number) in numbers]

    def _is_silent(self, connection: StreamConnection) -> bool:
        if connection.lost or connection.said_goodbye:
            return True
        number = connection.page.number
        return any(self._faults.on_stream(name, number) for name in ("mute", "freeze"))

    def _publish_to(self, connection: StreamConnection, frames: Mapping[str, bytes]) -> int:
        own = [symbol for symbol in connection.subscription.honoured() if symbol in frames]
        if self._is_silent(connection):
            return 0
        sent = self._send(connection, own, [frames[symbol] for symbol in own])
        if self._faults.active:
            self._spoil(connection, {symbol: frames[symbol] for symbol in own})
        return sent

    def _send(self, connection: StreamConnection, symbols: list[str], frames: list[bytes]) -> int:
        if not connection.send(b"".join(frames)):
            return 0
        connection.page.frames += len(symbols)
        self._truth.sent(connection.page.number, symbols)
        return len(symbols)

    def _spoil(self, connection: StreamConnection, own: dict[str, bytes]) -> None:
        """Send what the faults add to this second."""
        number, symbols = connection.page.number, list(connection.subscription.symbols)
        added: list[bytes] = []
        if self._faults.on_stream("out_of_order", number):
            added += [connection.earlier[symbol] for symbol in own if symbol in connection.earlier]
            connection.earlier.update(own)
        if self._faults.on_stream("repeat_second", number):
            added += self._feed.repeats(list(own))
        if garbage := self._faults.on_stream("garbage", number):
            added.append(self._feed.garbage(garbage.texts("forms") or FORMS, symbols))
        if huge := self._faults.on_stream("huge", number):
            added.append(wire.frame_of(b" " * huge.whole("frame_bytes")))
        if connection.send(b"".join(added)):
            connection.page.spoiled += len(added)

    def _handle_events(self, connection: StreamConnection) -> None:
        for event in connection.protocol.events_received():
            if isinstance(event, Request):
                _shake_hands(connection, event)
            elif isinstance(event, Frame) and (text := connection.text_of(event)) is not None:
                self._obey(connection, text)

    def _obey(self, connection: StreamConnection, text: str) -> None:
        if not connection.is_open:
            return
        try:
            symbols = connection.subscription.receive_text(text)
        except Refused:
            connection.close(None)
            return
        connection.page.symbols = list(connection.subscription.symbols)
        if self._is_silent(connection):
            return
        if self.playback is not None:
            self.play(self.playback.snapshot(symbols), to=[connection])
            return
        if stale := self._faults.on_stream("stale_snapshot", connection.page.number):
            frames = self._feed.stale_snapshot(symbols, age_s=stale.whole("age_s"))
            if connection.send(b"".join(frames)):
                connection.page.spoiled += len(frames)
            return
        snapshot = self._feed.snapshot(symbols)
        self._send(connection, list(snapshot), list(snapshot.values()))


def _shake_hands(connection: StreamConnection, request: Request) -> None:
    protocol = connection.protocol
    known = request.path.partition("?")[0] == "/"
    protocol.send_response(protocol.accept(request) if known else protocol.reject(404, "Not Found\n"))
    if protocol.handshake_exc is not None:
        log.warning("stream_handshake_refused", reason=str(protocol.handshake_exc))


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset: unlinger the socket first, or the client may see a plain end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
