"""Asks one question of the upstream: is it the real one or the practice market? Sends nothing above TLS."""

from __future__ import annotations

import asyncio
from typing import Literal
from urllib.parse import urlsplit

from core.errors import Unreachable
from net.tls import Trust, is_practice

Origin = Literal["live", "practice"]


async def probe_origin(host: str, *, trust: Trust, proxy: str, timeout_s: float = 10.0) -> Origin:
    """Return whose certificate `host` shows through `proxy` ("" = directly); Unreachable with the reason."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _handshake(host, trust, proxy)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {timeout_s:g} s", where=host) from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(_words(error), where=host) from error


async def _handshake(host: str, trust: Trust, proxy: str) -> Origin:
    there = urlsplit(proxy) if proxy else None
    reader, writer = await asyncio.open_connection(
        there.hostname if there else host, (there.port or 80) if there else 443
    )
    try:
        if there:
            await _connect(reader, writer, host)
        await writer.start_tls(trust.context, server_hostname=host)
        certificate = writer.get_extra_info("peercert")
        return "practice" if is_practice(certificate) else "live"
    finally:
        writer.transport.abort()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
    """Open a tunnel by HTTP CONNECT (RFC 9110 section 9.3.6)."""
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode(errors="replace")
    if status.split(" ")[1:2] != ["200"]:
        raise Unreachable(f"the proxy refused: {status}", where=host, key="network.proxy")


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
