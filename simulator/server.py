"""The practice market's one listening socket: an HTTP CONNECT proxy that is itself the hosts behind it.

Listens on loopback only, and opens no connection of its own: what it does not serve, it refuses.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import ipaddress
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from http.client import responses

import h11

from core.clock import Clock
from core.errors import FixByHand, RetryLater
from core.logs import get_logger
from core.tasks import cancel_all, spawn
from simulator import streams
from simulator.certificates import Authority
from simulator.faults import Faults
from simulator.feed import Feed
from simulator.rest import HOSTS, Request, Response, Rest
from simulator.streams import Streams
from simulator.walk import Market

log = get_logger(__name__)

READ_BYTES = 65_536
HANDSHAKE_S = 10.0
GZIP_BYTES = 1_000
"""Smaller bodies are sent as they are."""


class PracticeServer:
    """A running practice market. `refused_hosts` counts the CONNECTs to hosts that it is not."""

    def __init__(self, market: Market, *, clock: Clock) -> None:
        self.market = market
        self.faults = Faults()
        self.authority = Authority()
        self.streams = Streams(Feed(market, self.faults), self.faults)
        self.refused_hosts: Counter[str] = Counter()
        self.messages_sent = 0
        self._rest = Rest(market, self.faults, secret=secrets.token_bytes(32))
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def proxy_url(self) -> str:
        assert self._server is not None, "start() comes first"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self, host: str, port: int, *, on_failure: Callable[[BaseException], None]) -> None:
        """Listen and trade; FixByHand unless `host` is a loopback address, RetryLater if the port is taken.

        `on_failure` gets the error if the walk ends: there is no market without it.
        """
        if not _is_loopback(host):
            raise FixByHand(f"{host!r} is not a loopback address", key="--listen", right="use 127.0.0.1:0")
        try:
            self._server = await asyncio.start_server(self._client, host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise FixByHand(f"cannot listen ({error.strerror})", key="--listen", right="use 127.0.0.1:0") from error
            raise RetryLater(f"port {port} is in use", key="--listen", right="end its owner or use port 0") from error
        self._tasks = [spawn(self._trade(), name="practice-market", on_error=on_failure)]

    async def stop(self) -> None:
        """End every connection and the walk."""
        await cancel_all(self._tasks)
        if self._server is not None:
            self._server.close()
        await cancel_all([*self._clients])
        await self._clock.sleep(0)  # the aborted transports close in the loop's next round

    def close_streams(self, code: int | None = None) -> None:
        """Close every stream: with a close code, or with None by a TCP reset."""
        self.streams.close(code)

    def answer_status(self, path: str, status: int, body: bytes = b"", times: int = 1) -> None:
        """Answer the next `times` requests for `path` with `status` and `body`."""
        self.faults.answer_status(path, status, body, times)

    def advance(self, now: datetime) -> None:
        """Move the market to `now` and tell the stream's clients."""
        self.messages_sent += self.streams.publish(self.market.advance(now))

    async def _trade(self) -> None:
        while True:
            now = self._clock.utc_now()
            self.advance(now)
            await self._clock.sleep(1 - now.microsecond / 1e6)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if self.faults.refuse_connections:
                streams.reset(writer)
                return
            await self._tunnel(reader, writer)
            writer.close()
            await writer.wait_closed()
        # Cancelled: only stop() does that, and asyncio before 3.12 prints a traceback for a client task that says so.
        except (OSError, EOFError, h11.RemoteProtocolError, asyncio.CancelledError) as error:
            log.debug("practice_client_left", error=repr(error))
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the CONNECT, then be the host that it names."""
        http = h11.Connection(h11.SERVER)
        request = await _next_request(http, reader)
        if request is None:
            return
        host, status = self._wanted_host(request)
        if status != 200:
            _send(http, writer, Response(status=status, content_type="text/plain"), close=True)
            await writer.drain()
            return
        writer.write(http.send(h11.Response(status_code=200, headers=[], reason=b"Connection established")) or b"")
        await writer.start_tls(self.authority.context(host), ssl_handshake_timeout=HANDSHAKE_S)
        if host == streams.HOST:
            await self.streams.serve(reader, writer)
        else:
            await self._serve_http(host, reader, writer)

    def _wanted_host(self, request: h11.Request) -> tuple[str, int]:
        if request.method != b"CONNECT":
            return "", 405
        host, _, port = request.target.decode("ascii", "replace").rpartition(":")
        host = host.lower()
        if port == "443" and (host in HOSTS or host == streams.HOST):
            return host, 200
        self.refused_hosts[host] += 1
        log.warning("practice_host_refused", host=host, port=port)
        return host, 403

    async def _serve_http(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        while (request := await _next_request(http, reader)) is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
            asked = Request(
                method=request.method.decode(), host=host, target=request.target.decode("latin-1"), headers=headers
            )
            response = _packed(self._rest.respond(asked), headers.get("accept-encoding", ""))
            whole = _send(http, writer, response, cut_at=self.faults.cut_at)
            await writer.drain()
            if not whole or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()


async def _next_request(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """Return the next request when all of it is here, None when the client has gone."""
    request: h11.Request | None = None
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


def _packed(response: Response, accepted: str) -> Response:
    if "gzip" not in accepted or len(response.body) < GZIP_BYTES:
        return response
    return Response(
        status=response.status,
        body=gzip.compress(response.body, compresslevel=1, mtime=0),
        content_type=response.content_type,
        headers={**response.headers, "content-encoding": "gzip"},
    )


def _send(
    http: h11.Connection,
    writer: asyncio.StreamWriter,
    response: Response,
    *,
    cut_at: int | None = None,
    close: bool = False,
) -> bool:
    """Write the response; with `cut_at` fewer bytes than its length says. Return whether it was whole."""
    headers = [
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        ("server", "ATS"),
        *response.headers.items(),
    ]
    if close:
        headers.append(("connection", "close"))
    body, reason = response.body[:cut_at], responses.get(response.status, "")
    writer.write(http.send(h11.Response(status_code=response.status, headers=headers, reason=reason)) or b"")
    writer.write(http.send(h11.Data(data=body)) or b"")
    if len(body) < len(response.body):
        return False
    writer.write(http.send(h11.EndOfMessage()) or b"")
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
