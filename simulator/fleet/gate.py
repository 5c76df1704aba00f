"""What a proxy does with one connection: nothing, something bad, or a tunnel to the hosts. Listens on nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import h11

from core.clock import Clock
from core.logs import get_logger
from core.tasks import cancel_all
from simulator.fleet.handshakes import HANDSHAKES, NotMyProtocol
from simulator.fleet.kinds import Kind
from simulator.ports.certificates import Authority
from simulator.ports.hosts import Hosts, Way
from simulator.ports.http1 import READ_BYTES
from simulator.record.ledger import Connection, Ledger
from simulator.stream.streams import reset
from simulator.trouble import catalogue

log = get_logger(__name__)

DRIP_INTERVAL_S = 0.5
FLOOD_LINE = b"X-Filler: " + b"a" * 8_000 + b"\r\n"
KEPT_ERRORS = 10
FLOOD_LINES = 8_000
"""64 MB: who has not gone by then never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guise:
    """What a connection meets: the proxy's address, the exit that it gives, and its kind."""

    kind: Kind
    address: str
    protocol: str
    exit: str


class Gate:
    """Serves the connections of every proxy, the direct one too. `errors`: faults of this program, not of a client."""

    def __init__(self, hosts: Hosts, ledger: Ledger, authority: Authority, *, clock: Clock) -> None:
        self._hosts = hosts
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        self._clients: set[asyncio.Task[None]] = set()
        self.errors: deque[Exception] = deque(maxlen=KEPT_ERRORS)

    @cached_property
    def _impostor(self) -> Authority:
        return Authority("Totally Honest Proxy")

    async def serve(
        self, guise: Guise, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, refuse: bool
    ) -> None:
        """Serve one client until it is gone; with `refuse` it is reset at once."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        page = self._ledger.connect(at_s=self._now_s(), proxy=guise.address, exit=guise.exit)
        try:
            if refuse:
                page.outcome = "reset"
                reset(writer)
                return
            await self._meet(guise, page, reader, writer)
            writer.close()
            await writer.wait_closed()
        # Cancelled: only stop() does that, and asyncio before 3.12 prints a traceback for a client task that says so.
        except (OSError, EOFError, asyncio.LimitOverrunError, h11.RemoteProtocolError, asyncio.CancelledError) as error:
            log.debug("practice_client_left", error=repr(error))
        except Exception as error:
            log.exception("practice_client_failed", host=page.host)
            self.errors.append(error)
        finally:
            page.closed_at_s = self._now_s()
            self._clients.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        """End every connection."""
        await cancel_all([*self._clients])

    async def _meet(
        self, guise: Guise, page: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if guise.kind.speech != "plain":
            page.outcome = guise.kind.speech
            await self._misbehave(guise.kind, reader, writer)
            return
        handshake = HANDSHAKES[guise.protocol]
        try:
            wanted = await handshake.wanted(reader, writer)
        except NotMyProtocol as error:
            page.outcome = str(error)
            return
        if wanted is None:
            return
        host, port = wanted
        page.host = host
        if guise.kind.delay_s:
            await self._clock.sleep(guise.kind.delay_s)
        status = self._hosts.status(host, port) if guise.kind.opens else guise.kind.status
        if status != 200 or not guise.kind.opens:
            page.outcome = str(status)
            writer.write(handshake.refused(status, guise.kind.headers, guise.kind.page))
            await writer.drain()
            return
        writer.write(handshake.granted())
        await self._hosts.serve(host, port, self._way(guise, page), reader, writer)

    def _way(self, guise: Guise, page: Connection) -> Way:
        authority = self._impostor if guise.kind.own_certificate else self._authority
        # Where a redirect leads to: the ledger then shows who followed it.
        inward = {"redirect": {"location": f"http://{guise.address}/inward"}}
        faults = tuple(catalogue.fault(name, inward.get(name, {})) for name in guise.kind.faults)
        return Way(page=page, context=authority.context, faults=faults)

    async def _misbehave(self, kind: Kind, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match kind.speech:
            case "silent":
                while await reader.read(READ_BYTES):
                    pass
            case "drip":
                await reader.read(READ_BYTES)
                while True:
                    writer.write(b"H")
                    await writer.drain()
                    await self._clock.sleep(DRIP_INTERVAL_S)
            case "flood":
                await reader.read(READ_BYTES)
                writer.write(b"HTTP/1.1 200 Connection established\r\n")
                for _ in range(FLOOD_LINES):
                    writer.write(FLOOD_LINE)
                    await writer.drain()

    def _now_s(self) -> float:
        return self._clock.utc_now().timestamp()
