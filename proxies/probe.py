"""The cheapest question: does this address open a tunnel? One bare connection, three seconds, 8 KiB. Trusts nothing.

An open tunnel says little: what is behind it is for `proxies.check` to find out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.clock import Clock
from proxies.handshakes import LIMIT_BYTES, NotThisProtocol, hello, judged
from proxies.model import Address, Cause, Protocol

BUDGET_S = 3.0
"""For all of it, whatever drips in: a good proxy takes a second."""
TARGET = ("query1.finance.yahoo.com", 443)
Refusal = Callable[[str, int], object | None]
"""Says why this address and port must not be connected to; None: they may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """`cause` "ok": a tunnel was opened, by `protocol`."""

    cause: Cause
    protocol: Protocol
    latency_ms: float


class Probe:
    """Probes one address a call; nothing is kept between them."""

    def __init__(self, clock: Clock, *, refusal: Refusal, budget_s: float = BUDGET_S) -> None:
        self._clock, self._refusal, self._budget_s = clock, refusal, budget_s

    async def ask(self, address: Address, *, any_protocol: bool = False) -> Probed:
        """Return what the address does; with `any_protocol` the others are tried in turn if it speaks not this one."""
        started_s = self._clock.monotonic_s()
        if self._refusal(address.ip, address.port) is not None:  # lists are old, and what is ours changes
            return Probed(cause="refused", protocol=address.protocol, latency_ms=0.0)
        protocol, cause = address.protocol, None
        try:
            async with asyncio.timeout(self._budget_s):
                for protocol in _in_turn(address.protocol) if any_protocol else [address.protocol]:
                    cause = await _attempt(address, protocol)
                    if cause is not None:
                        break
        except TimeoutError:
            cause = "timeout"
        latency_ms = (self._clock.monotonic_s() - started_s) * 1000
        return Probed(
            cause=cause or "reset", protocol=protocol if cause == "ok" else address.protocol, latency_ms=latency_ms
        )


def _in_turn(first: Protocol) -> Sequence[Protocol]:
    # SOCKS4 before 5: its server would wait for the rest of the shorter greeting.
    return [first, *(protocol for protocol in ("http", "socks4", "socks5") if protocol != first)]


async def _attempt(address: Address, protocol: Protocol) -> Cause | None:
    """Return what came of one connection; None if it seems to speak another protocol."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, (address.ip, address.port))
        except OSError:
            return "refused"
        try:
            return await _talk(loop, sock, protocol)
        except NotThisProtocol:
            return None
        except OSError:
            return "reset"


async def _talk(loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: Protocol) -> Cause | None:
    await loop.sock_sendall(sock, hello(protocol, *TARGET))
    heard = b""
    while len(heard) < LIMIT_BYTES:
        more = await loop.sock_recv(sock, LIMIT_BYTES - len(heard))
        if not more:
            return "reset" if heard else None  # some hang up at once on words that they do not know
        heard += more
        verdict = judged(protocol, heard, *TARGET)
        if isinstance(verdict, bytes):
            await loop.sock_sendall(sock, verdict)
        elif verdict is not None:
            return verdict
    return "too_big"
