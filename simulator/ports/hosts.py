"""What lies behind every proxy: TLS under Yahoo's host names, then HTTP or the stream. Knows no proxy's protocol.

Opens no connection of its own: what it does not serve, it refuses.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import h11

from core.clock import Clock
from core.logs import get_logger
from simulator.answers.rest import HOSTS, JSON, Request, Response, Rest
from simulator.ports import mail_port
from simulator.ports.http1 import PIECES_PER_S, head, next_request, packed, pieces
from simulator.ports.sinks import SMTP_HOST, SMTP_PORTS
from simulator.record.ledger import Connection, Ledger
from simulator.stream import streams
from simulator.stream.streams import Streams
from simulator.trouble.catalogue import Fault
from simulator.trouble.faults import Faults
from simulator.trouble.mischief import Delivery, Mischief, symbols_of

log = get_logger(__name__)

HANDSHAKE_S = 10.0
WITHOUT_BODY = (204, 304)
"""RFC 9110: no such answer has a body."""
ECHO_HOST = "api.ipify.org"
"""Tells each client the address that it comes from: its exit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a client came here. `context`: host -> what it proves to be; `faults`: what its proxy does to each answer."""

    page: Connection
    context: Callable[[str], ssl.SSLContext]
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Sent:
    """How much of a body has gone out."""

    body_bytes: int = 0
    whole: bool = False


class Hosts:
    """Every host that the practice market is. `refused` counts the asked-for hosts that it is not."""

    def __init__(self, rest: Rest, streams: Streams, faults: Faults, ledger: Ledger, *, clock: Clock) -> None:
        self.refused: Counter[str] = Counter()
        self._rest = rest
        self._streams = streams
        self._faults = faults
        self._ledger = ledger
        self._clock = clock
        self._mischief = Mischief()

    def status(self, host: str, port: int) -> int:
        """Return how a proxy answers who wants to get to `host`: 200, 403 or 502."""
        if not _is_served(host, port):
            self.refused[host] += 1
            log.warning("practice_host_refused", host=host, port=port)
            return 403
        unreachable = next((fault for fault in self._faults.of("unreachable") if fault.fits("host", host)), None)
        return 502 if unreachable else 200

    async def serve(
        self, host: str, port: int, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Be `host` to a client whose tunnel is open, until one side has enough."""
        way.page.host, way.page.outcome = host, "no TLS"
        if host == SMTP_HOST:
            way.page.outcome = "mail"
            await mail_port.serve(self._rest.sinks, port, way.context(host), reader, writer)
            return
        await writer.start_tls(way.context(host), ssl_handshake_timeout=HANDSHAKE_S)
        way.page.outcome = "TLS"
        if host == streams.HOST:
            await self._streams.serve(reader, writer, way.page)
        else:
            await self._serve_http(host, way, reader, writer)

    async def _serve_http(
        self, host: str, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        http = h11.Connection(h11.SERVER)
        while (found := await next_request(http, reader)) is not None:
            asked = _asked(host, *found)
            delivery = self._deliver(asked, way)
            sent = _Sent()
            at_s = self._clock.utc_now().timestamp()
            try:
                await self._send(http, writer, delivery, sent, without_body=asked.method == "HEAD")
            finally:
                self._note(asked, way, delivery, at_s=at_s, sent_bytes=sent.body_bytes)
            if not sent.whole or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    def _deliver(self, asked: Request, way: Way) -> Delivery:
        faults = [*self._faults.on_request(host=asked.host, path=_path(asked), exit=way.page.exit), *way.faults]
        delivery = self._mischief.deliver(
            asked,
            faults,
            exit=way.page.exit,
            now_s=self._clock.monotonic_s(),
            true=lambda: self._true(asked, way),
        )
        for fault in delivery.faults:
            self._faults.hit(fault)
        return replace(delivery, response=packed(delivery.response, asked.headers.get("accept-encoding", "")))

    def _true(self, asked: Request, way: Way) -> Response:
        return _echo(asked, way.page.exit) if asked.host == ECHO_HOST else self._rest.respond(asked)

    def _note(self, asked: Request, way: Way, delivery: Delivery, *, at_s: float, sent_bytes: int) -> None:
        self._ledger.ask(
            way.page,
            at_s=at_s,
            method=asked.method,
            path=_path(asked),
            symbols=symbols_of(asked.target),
            status=delivery.response.status,
            sent_bytes=sent_bytes,
            fault="+".join(fault.kind.name for fault in delivery.faults),
        )

    async def _send(
        self,
        http: h11.Connection,
        writer: asyncio.StreamWriter,
        delivery: Delivery,
        sent: _Sent,
        *,
        without_body: bool,
    ) -> None:
        if delivery.delay_s:
            await self._clock.sleep(delivery.delay_s)
        without_body |= delivery.response.status in WITHOUT_BODY
        body = b"" if without_body else delivery.response.body[: delivery.cut_at]
        writer.write(http.send(head(delivery.response)) or b"")
        for piece in pieces(body, delivery.bytes_per_s):
            writer.write(http.send(h11.Data(data=piece)) or b"")
            sent.body_bytes += len(piece)
            await writer.drain()
            if delivery.bytes_per_s:
                await self._clock.sleep(1 / PIECES_PER_S)
        sent.whole = without_body or len(body) == len(delivery.response.body)
        if sent.whole:
            writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()


def _is_served(host: str, port: int) -> bool:
    if host == SMTP_HOST:
        return port in SMTP_PORTS
    return port == 443 and host in HOSTS | {streams.HOST, ECHO_HOST}


def _asked(host: str, request: h11.Request, body: bytes) -> Request:
    headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    target = request.target.decode("latin-1")
    return Request(method=request.method.decode(), host=host, target=target, headers=headers, body=body)


def _path(asked: Request) -> str:
    return asked.target.partition("?")[0]


def _echo(asked: Request, exit: str) -> Response:
    """Answer as api.ipify.org does."""
    if "format=json" in asked.target:
        return Response(status=200, body=json.dumps({"ip": exit}).encode(), content_type=JSON)
    return Response(status=200, body=exit.encode(), content_type="text/plain")
