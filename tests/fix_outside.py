"""How the practice market looks to who knows none of its code: curl, and a stream client over a bare socket."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fix_simulator import QUERY_HOST, pricing_schema

STREAMER = "streamer.finance.yahoo.com"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATIENCE_S = 60.0
SILENCE_S = 0.1
UPGRADE = f"""GET /?version=2 HTTP/1.1\r
Host: {STREAMER}\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r
Sec-WebSocket-Version: 13\r
Origin: https://finance.yahoo.com\r
\r
""".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What curl got: its exit code (0 = well), the status, the headers in lower case, the body and the seconds."""

    exit_code: int
    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float
    said: str

    def json(self) -> Any:
        return json.loads(self.body)

    def quotes(self) -> dict[str, dict[str, Any]]:
        """Return symbol -> v7 result."""
        return {quote["symbol"]: quote for quote in self.json()["quoteResponse"]["result"]}


class Curl:
    """curl behind one proxy, with a cookie jar of its own."""

    def __init__(self, proxy: str, ca_file: Path, folder: Path) -> None:
        self._options = ["--proxy", proxy, "--cacert", str(ca_file), "--noproxy", "", "--silent", "--show-error"]
        self._options += ["--max-time", str(PATIENCE_S)]
        self._folder = folder
        self._jar = str(folder / "cookies.txt")
        self.crumb = ""

    async def get(self, url: str, *options: str) -> Page:
        """Return what comes of `url`, a path of query1 or a whole address."""
        head, body = self._folder / "head", self._folder / "body"
        head.unlink(missing_ok=True)
        body.unlink(missing_ok=True)
        whole = url if "://" in url else f"https://{QUERY_HOST}{url}"
        files = ["--dump-header", str(head), "--output", str(body), "--cookie", self._jar, "--cookie-jar", self._jar]
        process = await asyncio.create_subprocess_exec(
            "curl",
            *self._options,
            *files,
            *("--suppress-connect-headers", "--write-out", "%{http_code} %{time_total}", *options, whole),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        status, took_s = out.decode().split()
        assert process.returncode is not None
        return Page(
            exit_code=process.returncode,
            status=int(status),
            headers=_headers(head.read_text() if head.exists() else ""),
            body=body.read_bytes() if body.exists() else b"",
            took_s=float(took_s),
            said=err.decode(),
        )

    async def log_in(self) -> None:
        """Get a cookie and its crumb."""
        await self.get("https://fc.yahoo.com/")
        self.crumb = (await self.get("/v1/test/getcrumb")).body.decode()

    async def quote(self, *symbols: str, options: Sequence[str] = ()) -> Page:
        """Ask for v7 quotes; needs `log_in`."""
        return await self.get(f"/v7/finance/quote?symbols={','.join(symbols)}&crumb={self.crumb}", *options)


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class BareStream:
    """A stream client that knows frames and no more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, opcode: int, payload: bytes) -> None:
        """Send one masked frame (RFC 6455 section 5.3); the mask is zero."""
        assert len(payload) < 1 << 16
        self._writer.write(bytes((0x80 | opcode, 0xFE)) + len(payload).to_bytes(2, "big") + bytes(4) + payload)

    def subscribe(self, *symbols: str) -> None:
        self.say(TEXT, json.dumps({"subscribe": symbols}).encode())

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; raises if the connection ends."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
            return first & 0x0F, await self._reader.readexactly(size)

    async def price(self) -> Any:
        """Return the next frame as yfinance's schema reads it."""
        opcode, payload = await self.frame()
        assert opcode == TEXT
        return pricing_schema().FromString(base64.b64decode(json.loads(payload)["message"]))

    async def pinged(self) -> list[tuple[int, bytes]]:
        """Send a ping and return what comes before its pong."""
        self.say(PING, b"?")
        frames: list[tuple[int, bytes]] = []
        while (frame := await self.frame()) != (PONG, b"?"):
            frames.append(frame)
        return frames

    async def silent(self) -> bool:
        """Whether not even a ping is answered."""
        self.say(PING, b"?")
        try:
            await asyncio.wait_for(self._reader.read(1), SILENCE_S)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def bare_stream(proxy_url: str, ca_file: Path) -> AsyncIterator[BareStream]:
    """Connect by hand: CONNECT, TLS, upgrade."""
    proxy = urlsplit(proxy_url)
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    try:
        writer.write(f"CONNECT {STREAMER}:443 HTTP/1.1\r\nHost: {STREAMER}:443\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await writer.start_tls(ssl.create_default_context(cafile=ca_file), server_hostname=STREAMER)
        writer.write(UPGRADE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        yield BareStream(reader, writer)
    finally:
        writer.transport.abort()
