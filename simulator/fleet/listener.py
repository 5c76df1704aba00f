"""The fleet's listening sockets: a proxy has a port of its own for as long as the market runs. Loopback only."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.errors import FixByHand, RetryLater
from core.tasks import spawn
from simulator.fleet.gate import Gate, Guise
from simulator.fleet.kinds import KINDS, MOST, SHARED_EXIT, Kind, Order, exit_address
from simulator.trouble.catalogue import known

ROTATING_EXITS_FROM = 2 * MOST
BACKLOG = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One proxy as the fleet tells of it; `address`: 127.0.0.1:PORT."""

    address: str
    protocol: str
    kind: str
    exit: str


class _Proxy:
    """One port. It stays bound while nobody listens on it, so that nobody else gets it."""

    def __init__(self, host: str, order: Order, number: int) -> None:
        self.kind = order.kind
        self.protocol = order.protocol
        self.exit = order.exit or _exit(order.kind, number)
        self.connections = 0
        self.server: asyncio.Server | None = None
        self.attaching: asyncio.Task[None] | None = None
        self.socket = _bound(host, 0)
        self.host, self.port = self.socket.getsockname()[:2]

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Fleet:
    """Every proxy. Works in the loop that is running."""

    def __init__(self, gate: Gate, *, host: str, on_failure: Callable[[BaseException], None]) -> None:
        self._gate = gate
        self._host = host
        self._on_failure = on_failure
        self._proxies: dict[str, _Proxy] = {}
        self._rotations = 0

    def members(self) -> list[Member]:
        return [
            Member(address=proxy.address, protocol=proxy.protocol, kind=proxy.kind.name, exit=proxy.exit)
            for proxy in self._proxies.values()
        ]

    def add(self, orders: Iterable[Order]) -> list[Member]:
        """Open these proxies; clients can connect at once."""
        before = len(self._proxies)
        for order in orders:
            for _ in range(order.count):
                if len(self._proxies) >= MOST:
                    raise FixByHand(f"more than {MOST} proxies", where="fleet", right="make it smaller")
                proxy = _Proxy(self._host, order, len(self._proxies))
                self._proxies[proxy.address] = proxy
                self._settle(proxy)
        return self.members()[before:]

    def turn(self, address: str, kind: str) -> None:
        """Make the proxy at `address` one of another kind, for its next connections."""
        proxy = known(address, self._proxies, what="proxy of the fleet", where="fleet")
        became = known(kind, KINDS, what="kind of proxy", where="fleet")
        proxy.kind = became
        self._settle(proxy)

    async def stop(self) -> None:
        """Close every port."""
        await asyncio.gather(*(proxy.attaching for proxy in self._proxies.values() if proxy.attaching))
        for proxy in self._proxies.values():
            if proxy.server:
                proxy.server.close()
            proxy.socket.close()

    def _settle(self, proxy: _Proxy) -> None:
        """Make the port what its kind wants; while it is being opened, `_attach` does that in the end."""
        if proxy.attaching:
            return
        if proxy.kind.is_dead and proxy.server:
            proxy.server.close()
            proxy.server, proxy.socket = None, _bound(self._host, proxy.port)
        elif not proxy.kind.is_dead and not proxy.server:
            proxy.socket.listen(BACKLOG)  # from here on the kernel takes connections
            proxy.attaching = spawn(self._attach(proxy), name="practice-proxy", on_error=self._on_failure)

    async def _attach(self, proxy: _Proxy) -> None:
        """Serve what the kernel takes. Not to be cancelled: half-way the loop would keep a closed socket."""

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            proxy.connections += 1
            refuse = proxy.connections % proxy.kind.works_each != 0
            await self._gate.serve(self._guise(proxy), reader, writer, refuse=refuse)

        proxy.server = await asyncio.start_server(client, sock=proxy.socket)
        proxy.attaching = None
        self._settle(proxy)

    def _guise(self, proxy: _Proxy) -> Guise:
        exit = proxy.exit
        if proxy.kind.exit == "rotating":
            self._rotations += 1
            exit = exit_address(ROTATING_EXITS_FROM + self._rotations % MOST)
        return Guise(kind=proxy.kind, address=proxy.address, protocol=proxy.protocol, exit=exit)


def _exit(kind: Kind, number: int) -> str:
    return SHARED_EXIT if kind.exit == "shared" else exit_address(number)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that owns the port and does not listen: connecting to it is refused."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if sys.platform != "win32":  # there it would let others in; here it lets a proxy come back to its port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise RetryLater(f"port {port} cannot be had ({error.strerror})", where="fleet", right="try again") from error
    found.setblocking(False)
    return found
