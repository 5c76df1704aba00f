"""The cheapest question: does this address open a tunnel? One bare connection, three seconds, 8 KiB. Trusts nothing.

An open tunnel says little: what is behind it is for `proxies.check` to find out.

Hundreds are asked side by side. All their sockets are looked at together, twenty times a second: a task, a timer and a
wake-up of the loop for each of them would cost four times as much as the question.
"""

from __future__ import annotations

import asyncio
import errno
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass

from proxies.handshakes import LIMIT_BYTES, NotThisProtocol, hello, judged
from proxies.model import PROTOCOLS, Address, Cause, Protocol

BUDGET_S = 3.0
"""For all of it, whatever drips in: a good proxy takes a second."""
LOOK_S = 0.05
TARGET = ("query1.finance.yahoo.com", 443)
UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
"""What a connect that does not wait may answer."""
HELLOS = {protocol: hello(protocol, *TARGET) for protocol in PROTOCOLS}
IN_TURN: dict[Protocol, tuple[Protocol, ...]] = {  # SOCKS4 before 5: its server would wait for the rest of a greeting
    "http": ("http", "socks4", "socks5"),
    "socks4": ("socks4", "http", "socks5"),
    "socks5": ("socks5", "http", "socks4"),
}
"""By which protocols an address is asked that is listed with one, until it understands."""
Refusal = Callable[[str, int], object | None]
"""Says why this address and port must not be connected to; None: they may be."""


@dataclass(frozen=True, slots=True)
class Probed:
    """`cause` "ok": a tunnel was opened, by `protocol`."""

    cause: Cause
    protocol: Protocol


@dataclass(slots=True, eq=False)
class _Talk:
    """With one address, for now by the first of `protocols`. `sock`: None, or one that the selector watches."""

    address: Address
    protocols: tuple[Protocol, ...]
    until_s: float
    ended: asyncio.Future[Cause]
    sock: socket.socket | None = None
    greeted: bool = False
    heard: bytes = b""


class Probe:
    """Probes one address a call, many calls at a time; nothing is kept between them. Times are the loop's."""

    def __init__(self, *, refusal: Refusal, budget_s: float = BUDGET_S) -> None:
        self._refusal, self._budget_s = refusal, budget_s
        self._talks: dict[_Talk, None] = {}  # in the order of their ends
        self._selector: selectors.BaseSelector | None = None

    async def ask(self, address: Address, *, any_protocol: bool = False) -> Probed:
        """Return what the address does; with `any_protocol` the others are tried in turn if it speaks not this one."""
        if self._refusal(address.ip, address.port) is not None:  # lists are old, and what is ours changes
            return Probed("refused", address.protocol)
        loop = asyncio.get_running_loop()
        protocols = IN_TURN[address.protocol] if any_protocol else (address.protocol,)
        talk = _Talk(address, protocols, loop.time() + self._budget_s, loop.create_future())
        self._talks[talk] = None
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
            loop.call_later(LOOK_S, self._look, self._selector)
        try:
            self._connect(self._selector, talk)
            cause = await talk.ended
        finally:
            self._hang_up(talk)
            del self._talks[talk]
        return Probed(cause, talk.protocols[0] if cause == "ok" else address.protocol)

    def _look(self, selector: selectors.BaseSelector) -> None:
        """Take what has come, end what ran out of time, and look again while anybody is asked."""
        for key, _ in selector.select(0):
            self._go_on(selector, key.data)
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for talk in self._talks:
            if talk.until_s > now_s:
                break
            self._end(talk, "timeout")
        if self._talks:
            loop.call_later(LOOK_S, self._look, selector)
        else:
            selector.close()
            self._selector = None

    def _connect(self, selector: selectors.BaseSelector, talk: _Talk) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if sock.connect_ex((talk.address.ip, talk.address.port)) in UNDER_WAY:
            selector.register(sock, selectors.EVENT_WRITE, talk)
            talk.sock, talk.greeted, talk.heard = sock, False, b""
        else:
            sock.close()
            self._end(talk, "refused")

    def _go_on(self, selector: selectors.BaseSelector, talk: _Talk) -> None:
        assert talk.sock is not None
        try:
            if talk.greeted:
                self._hear(selector, talk, talk.sock)
            elif talk.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(talk, "refused")
            else:
                talk.sock.send(HELLOS[talk.protocols[0]])
                talk.greeted = True
                selector.modify(talk.sock, selectors.EVENT_READ, talk)
        except OSError:
            self._end(talk, "reset")

    def _hear(self, selector: selectors.BaseSelector, talk: _Talk, sock: socket.socket) -> None:
        more = sock.recv(LIMIT_BYTES - len(talk.heard))
        talk.heard += more
        try:
            verdict = judged(talk.protocols[0], talk.heard, *TARGET) if more else _of_silence(talk.heard)
        except NotThisProtocol:
            self._speak_another(selector, talk)
            return
        if isinstance(verdict, bytes):
            sock.send(verdict)
        elif verdict is not None:
            self._end(talk, verdict)
        elif len(talk.heard) >= LIMIT_BYTES:
            self._end(talk, "too_big")

    def _speak_another(self, selector: selectors.BaseSelector, talk: _Talk) -> None:
        if len(talk.protocols) == 1:
            self._end(talk, "reset")
            return
        self._hang_up(talk)
        talk.protocols = talk.protocols[1:]
        self._connect(selector, talk)

    def _end(self, talk: _Talk, cause: Cause) -> None:
        self._hang_up(talk)
        if not talk.ended.done():
            talk.ended.set_result(cause)

    def _hang_up(self, talk: _Talk) -> None:
        if talk.sock is not None:
            assert self._selector is not None  # it is open as long as anybody is asked
            self._selector.unregister(talk.sock)
            talk.sock.close()
            talk.sock = None


def _of_silence(heard: bytes) -> Cause:
    """Return what it means to hang up."""
    if not heard:  # some do so at once on words that they do not know
        raise NotThisProtocol
    return "reset"
