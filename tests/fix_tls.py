"""A TLS server of a test's own, behind a CONNECT proxy of its own: it answers what the test says, and no more.

The practice market speaks as Yahoo does; this one says what Yahoo never would.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from net.tls import PRACTICE_ORGANIZATION, Trust, build_trust

HOST = "query1.finance.yahoo.com"
TUNNEL_OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
TUNNEL_REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
Handler = Callable[[str], bytes]
"""Request line and headers -> the whole answer."""


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP answer that says its length and closes the connection."""
    lines = {"content-length": str(len(body)), "connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


@dataclass(slots=True, kw_only=True)
class Upstream:
    """`url`: of the proxy. `connects`, `requests`: the head of each, in order. `hang`: accept and say nothing.

    `demands`: the header line without which the proxy opens no tunnel.
    """

    handler: Handler
    context: ssl.SSLContext
    tunnel_reply: bytes = TUNNEL_OPEN
    hang: bool = False
    demands: str = ""
    url: str = ""
    connects: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.connects.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.hang:
                await reader.read()
            said = self.tunnel_reply if self.demands in self.connects[-1] else TUNNEL_REFUSED
            writer.write(said)
            if said.startswith(TUNNEL_OPEN.split(b"\r\n", 1)[0]):
                await writer.start_tls(self.context)
                await self.answer(reader, writer)
            await writer.drain()
        except (OSError, EOFError):
            pass  # the client left, as many tests want it to
        finally:
            writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            writer.write(self.handler(head))
            await writer.drain()


@asynccontextmanager
async def upstream(
    authority: trustme.CA, handler: Handler = lambda _head: reply(200, b"{}"), *, host: str = HOST
) -> AsyncIterator[Upstream]:
    """Run a proxy behind which `host`, signed by `authority`, answers by `handler`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    running = Upstream(handler=handler, context=context)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()


@pytest.fixture(scope="session")
def practice_authority() -> trustme.CA:
    return trustme.CA(organization_name=PRACTICE_ORGANIZATION)


@pytest.fixture(scope="session")
def other_authority() -> trustme.CA:
    return trustme.CA(organization_name="Some Public Roots Inc.")


def _trust(authority: trustme.CA, folder: Path) -> Trust:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return build_trust(ca_file=str(folder / "ca.pem"), state_dir=folder)


@pytest.fixture(scope="session")
def practice_trust(practice_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return _trust(practice_authority, tmp_path_factory.mktemp("practice-trust"))


@pytest.fixture(scope="session")
def other_trust(other_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return _trust(other_authority, tmp_path_factory.mktemp("other-trust"))
