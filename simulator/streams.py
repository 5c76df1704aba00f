"""The stream's connections: handshake, orders, and one write a connection and second. Decides no price."""

from __future__ import annotations

import asyncio
import socket
import struct

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from core.logs import get_logger
from simulator.faults import Faults
from simulator.feed import Feed, Refused, Subscription
from simulator.walk import Stock

log = get_logger(__name__)

HOST = "streamer.finance.yahoo.com"
READ_BYTES = 65_536
SLOW_CLIENT_BYTES = 8 << 20
"""A client that has not read this much is cut off, so that it cannot fill our memory."""


class StreamConnection:
    """One WebSocket client."""

    def __init__(self, writer: asyncio.StreamWriter, faults: Faults) -> None:
        self.writer = writer
        self.protocol = ServerProtocol()
        self.subscription = Subscription(faults=faults)
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self.protocol.state is State.OPEN

    def close(self, code: int | None) -> None:
        """Start the closing handshake; without a code the client sees 1005."""
        self.protocol.send_close(code)
        self.flush()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.writer.write(data)

    def send(self, frames: bytes) -> None:
        """Write whole frames that were encoded elsewhere."""
        if not frames or not self.is_open:
            return
        if self.writer.transport.get_write_buffer_size() > SLOW_CLIENT_BYTES:
            log.warning("stream_client_too_slow", waiting_bytes=SLOW_CLIENT_BYTES)
            self.writer.transport.abort()
            return
        self.writer.write(frames)

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

    def __init__(self, feed: Feed, faults: Faults) -> None:
        self._feed = feed
        self._faults = faults
        self.connections: set[StreamConnection] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak to one client until it is gone."""
        connection = StreamConnection(writer, self._faults)
        self.connections.add(connection)
        try:
            while not connection.protocol.close_expected():
                data = await reader.read(READ_BYTES)
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

    def publish(self, traded: list[Stock]) -> int:
        """Send each client the newest price of its tickers that traded; return the number of messages."""
        if self._faults.mute_streams:
            return 0
        wanted = {symbol for connection in self.connections for symbol in connection.subscription.symbols}
        frames = self._feed.frames(traded, wanted=wanted)
        sent = 0
        for connection in list(self.connections):
            own = [frames[symbol] for symbol in connection.subscription.symbols if symbol in frames]
            connection.send(b"".join(own))
            sent += len(own)
        return sent

    def close(self, code: int | None) -> None:
        """Close every connection: with a code by the closing handshake, with None by a reset."""
        for connection in list(self.connections):
            if code is None:
                reset(connection.writer)
            elif connection.is_open:
                connection.close(code)

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
        if not self._faults.mute_streams:
            connection.send(self._feed.snapshot(symbols))


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
