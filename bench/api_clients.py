"""Clients of the API's benches: as little work a message as there can be, so that it is the server that is measured.

Sockets read by hand in one thread; a frame is taken apart no further than the time that was written into it.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
from dataclasses import dataclass, field
from time import monotonic_ns

MARK = b"@@"
"""Before and after the nanoseconds of CLOCK_MONOTONIC at which an update was made, which all processes share."""


@dataclass
class Client:
    connection: socket.socket
    received: int = 0
    rest: bytes = b""
    waits_ns: list[int] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        parts = (self.rest + data).split(MARK)
        now_ns = monotonic_ns()
        for place in range(1, len(parts) - 1, 2):
            self.waits_ns.append(now_ns - int(parts[place]))
            self.received += 1
        # An odd number of marks: a time that is not whole yet; else perhaps half a mark.
        self.rest = MARK + parts[-1] if len(parts) % 2 == 0 else parts[-1][-1:]


def websocket(port: int, path: str, key: str, subscribe: str) -> socket.socket:
    """Open a WebSocket and say what it listens to; return its socket."""
    connection = socket.create_connection(("127.0.0.1", port))
    nonce = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\nX-API-Key: {key}\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise RuntimeError(answer.decode())
    if subscribe:
        connection.sendall(_masked(subscribe.encode()))
    return connection


def _masked(text: bytes) -> bytes:
    """One text frame with a mask of zeros (RFC 6455, section 5.2)."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + len(text).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + text


def events(port: int, path: str, key: str) -> socket.socket:
    """Open an event stream; return its socket."""
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/event-stream\r\nX-API-Key: {key}\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"retry:" not in answer:
        part = connection.recv(4096)
        if not part:
            raise RuntimeError(answer.decode())
        answer += part
    return connection


def read_for(clients: list[Client], duration_s: float) -> None:
    """Read what comes to all of them for so long."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.connection.setblocking(False)
        selector.register(client.connection, selectors.EVENT_READ, client)
    end_ns = monotonic_ns() + int(duration_s * 1e9)
    while (left_ns := end_ns - monotonic_ns()) > 0:
        for key, _ in selector.select(left_ns / 1e9):
            data = key.fileobj.recv(262_144)  # type: ignore[union-attr]
            if not data:
                selector.unregister(key.fileobj)
                continue
            key.data.take(data)
    selector.close()
