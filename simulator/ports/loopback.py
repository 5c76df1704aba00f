"""Listening on this machine alone. Opens no connection, serves nothing."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections.abc import Awaitable, Callable

from core.errors import FixByHand, RetryLater

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LINE_BYTES = 1 << 16


async def listen(client: Client, host: str, port: int, *, key: str, line_bytes: int = LINE_BYTES) -> asyncio.Server:
    """Return the listening server; FixByHand unless `host` is a loopback address, RetryLater if the port is taken."""
    right = "use 127.0.0.1:0"
    if not _is_loopback(host):
        raise FixByHand(f"{host!r} is not a loopback address", key=key, right=right)
    try:
        return await asyncio.start_server(client, host, port, limit=line_bytes)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise FixByHand(f"cannot listen ({error.strerror})", key=key, right=right) from error
        raise RetryLater(f"port {port} is in use", key=key, right="end its owner or use port 0") from error


def address_of(server: asyncio.Server) -> str:
    """Return HOST:PORT of the first socket; an IPv6 address in brackets."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str, *, key: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; FixByHand if there is no port in it."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise FixByHand(f"{text!r} has no port", key=key, right="use 127.0.0.1:0")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
