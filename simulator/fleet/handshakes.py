"""How a client tells a proxy where it wants to go: HTTP CONNECT, SOCKS4a, SOCKS5; and the answers. Opens no tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.client import responses
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import h11

from simulator.ports.http1 import next_request

REFUSED_SOCKS5 = 2  # RFC 1928: connection not allowed by ruleset
GRANTED_SOCKS4, REFUSED_SOCKS4 = 0x5A, 0x5B
SOCKS_NAME_BYTES = 256
_NOWHERE = bytes(6)
"""Port and address in a SOCKS answer: nobody reads them."""


class NotMyProtocol(Exception):
    """The client speaks something else; the text says what."""


class Handshake(Protocol):
    """One protocol, from the proxy's side."""

    async def wanted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        """Return host (lower case) and port, None if the client has gone; raise NotMyProtocol."""

    def granted(self) -> bytes:
        """Return the answer that opens the tunnel."""

    def refused(self, status: int, headers: Mapping[str, str], page: bytes) -> bytes:
        """Return the answer that does not; of SOCKS the status says only whether the page comes."""


class Connect:
    """HTTP CONNECT. A plain request is for a host that this market is not, on no port; for the proxy itself: 405."""

    async def wanted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        found = await next_request(h11.Connection(h11.SERVER), reader)
        if found is None:
            return None
        request, _body = found
        if request.method != b"CONNECT":
            if host := _host_of(request.target.decode("ascii", "replace")):
                return host, 0
            writer.write(self.refused(405, {}, b""))
            raise NotMyProtocol(f"405 {request.method.decode()} {request.target.decode('ascii', 'replace')}")
        host, _, port = request.target.decode("ascii", "replace").rpartition(":")
        return host.lower(), int(port) if port.isdecimal() else 0

    def granted(self) -> bytes:
        return b"HTTP/1.1 200 Connection established\r\n\r\n"

    def refused(self, status: int, headers: Mapping[str, str], page: bytes) -> bytes:
        lines = {"content-type": "text/html", "content-length": str(len(page)), "connection": "close", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {status} {responses.get(status, '')}\r\n{head}\r\n".encode() + page


class Socks4a:
    """SOCKS4 with a host name behind the user name; an address alone is refused: there is no host to be."""

    async def wanted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        version, command, *rest = await reader.readexactly(8)
        port, address = int.from_bytes(rest[:2], "big"), bytes(rest[2:])
        if (version, command) != (4, 1):
            raise NotMyProtocol("no SOCKS4 CONNECT")
        await _text(reader)
        named = address[:3] == bytes(3) and address[3] != 0
        return (await _text(reader)) if named else ".".join(map(str, address)), port

    def granted(self) -> bytes:
        return bytes((0, GRANTED_SOCKS4)) + _NOWHERE

    def refused(self, status: int, headers: Mapping[str, str], page: bytes) -> bytes:
        return self.granted() + page if status == 200 else bytes((0, REFUSED_SOCKS4)) + _NOWHERE


class Socks5:
    """SOCKS5 without a password."""

    async def wanted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        version, methods = await reader.readexactly(2)
        if version != 5:
            raise NotMyProtocol("no SOCKS5")
        if 0 not in await reader.readexactly(methods):
            writer.write(b"\x05\xff")
            raise NotMyProtocol("no SOCKS5 without a password")
        writer.write(b"\x05\x00")
        _version, command, _reserved, kind = await reader.readexactly(4)
        if command != 1:
            raise NotMyProtocol("no CONNECT")
        host = await self._host(reader, kind)
        return host, int.from_bytes(await reader.readexactly(2), "big")

    async def _host(self, reader: asyncio.StreamReader, kind: int) -> str:
        if kind == 3:
            (length,) = await reader.readexactly(1)
            return (await reader.readexactly(length)).decode("ascii", "replace").lower()
        if kind not in (1, 4):
            raise NotMyProtocol(f"no address of kind {kind}")
        return str(ip_address(await reader.readexactly(16 if kind == 4 else 4)))  # no host of ours

    def granted(self) -> bytes:
        return b"\x05\x00\x00\x01" + _NOWHERE

    def refused(self, status: int, headers: Mapping[str, str], page: bytes) -> bytes:
        return self.granted() + page if status == 200 else bytes((5, REFUSED_SOCKS5, 0, 1)) + _NOWHERE


HANDSHAKES: dict[str, Handshake] = {"http": Connect(), "socks4a": Socks4a(), "socks5": Socks5()}


def _host_of(target: str) -> str:
    """Return the host of a whole address, "" of a path or of what is none."""
    try:
        return urlsplit(target).hostname or ""
    except ValueError:
        return ""


async def _text(reader: asyncio.StreamReader) -> str:
    """Return what stands before the next NUL."""
    text = await reader.readuntil(b"\0")
    if len(text) > SOCKS_NAME_BYTES:
        raise NotMyProtocol("a name too long")
    return text[:-1].decode("ascii", "replace").lower()
