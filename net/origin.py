"""Asks one question of the upstream: is it the real one or the practice market? Sends nothing above TLS."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import Literal, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from core.errors import FixByHand, Unreachable
from net.tls import Trust, is_practice

Origin = Literal["live", "practice"]
T = TypeVar("T")


async def probe_origin(url: str, *, trust: Trust, proxy: str, timeout_s: float = 10.0) -> Origin:
    """Return whose certificate the host of `url` shows through `proxy` ("" = directly); Unreachable with the reason."""

    def look(connection: ssl.SSLObject) -> Origin:
        return "practice" if is_practice(connection.getpeercert()) else "live"

    return await handshake(url, look, trust=trust, proxy=proxy, timeout_s=timeout_s)


async def handshake(
    url: str, look: Callable[[ssl.SSLObject], T], *, trust: Trust, proxy: str, timeout_s: float = 10.0
) -> T:
    """Return what `look` sees of a verified connection to the host of `url`, which is then closed."""
    parts = urlsplit(url)
    host, port = _ascii(parts.hostname or ""), parts.port or 443
    try:
        async with asyncio.timeout(timeout_s):
            return await _handshake(host, port, trust, proxy, look)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {timeout_s:g} s", where=host) from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(_words(error), where=host) from error


async def _handshake(host: str, port: int, trust: Trust, proxy: str, look: Callable[[ssl.SSLObject], T]) -> T:
    there = urlsplit(proxy) if proxy else None
    first = (_ascii(there.hostname or ""), there.port or 80) if there else (host, port)
    reader, writer = await asyncio.open_connection(*first)
    try:
        if there:
            await _connect(reader, writer, host, port, there)
        await writer.start_tls(trust.context, server_hostname=host)
        return look(writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, proxy: SplitResult
) -> None:
    """Open a tunnel by HTTP CONNECT (RFC 9110 section 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{_authorization(proxy)}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode(errors="replace")
    if status.split(" ")[1:2] != ["200"]:
        raise Unreachable(f"the proxy refused: {status}", where=host, key="network.proxy")


def _authorization(proxy: SplitResult) -> str:
    """Return the header line that names the user of the proxy (RFC 7617); nothing if its URL has none."""
    if proxy.username is None:
        return ""
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {b64encode(words.encode()).decode()}\r\n"


def _ascii(host: str) -> str:
    """Return the host name as DNS and TLS take it."""
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        right = "use parts of 1 to 63 characters between the dots"
        raise FixByHand(f"is no host name ({error})", where=host, right=right) from error


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
