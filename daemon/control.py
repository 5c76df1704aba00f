"""The control socket: a JSON request a line, a JSON answer a line. Decides nothing; no input can harm the daemon.

Whatever a client sends or leaves out, it has its answer within a second, and nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from core.clock import SystemClock
from core.errors import TickerdError
from core.files import patiently, write_atomic
from core.logs import get_logger
from daemon.client import LOOPBACK, SOCKET_FILE, STANDARD, TOKEN_FILE, TcpDoor, Transport, short_address

REQUEST_BYTES = 65_536
REQUEST_S = 0.5  # from a request's first byte to its last
IDLE_S = 30.0  # a client that says nothing, or takes nothing, this long is let go
LAST_TURNS = 100  # of the loop: what its clients' tasks get to end, of which they need a few
CLIENTS = 256  # at once; one more, and the oldest is let go: descriptors are also needed for the children

Handler = Callable[[str], dict[str, Any]]
"""Takes the request's `name` ("" if there is none), returns the answer; it may not wait."""

log = get_logger(__name__)


class Request(msgspec.Struct, frozen=True):
    command: str
    name: str = ""
    token: str = ""


class Refused(Exception):
    """A request that makes no sense; the text goes back to who asked."""


def answer(line: bytes, handlers: Mapping[str, Handler], *, token: str = "") -> dict[str, Any]:
    """Return the answer to one line, whatever it holds. `token`: what a request must bring, if not empty."""
    try:
        request = msgspec.json.decode(line, type=Request)
        if token and not secrets.compare_digest(request.token.encode(), token.encode()):
            raise Refused(f"the token is not the one in {TOKEN_FILE}; ask as the user who runs the orchestrator")
        if request.command not in handlers:
            raise Refused(f"unknown command {request.command!r}; known: {', '.join(sorted(handlers))}")
        return handlers[request.command](request.name)
    except msgspec.MsgspecError as error:
        return {"error": f'not a request: {error}; send {{"command": "status"}} on one line'}
    except TickerdError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except Refused as error:
        return {"error": str(error)}
    except Exception as error:  # a fault of ours must neither end the daemon nor leave the client without a word
        log.exception("command_failed")
        return {"error": f"a fault of tickerd: {error!r}; see its log"}


class ControlServer:
    """Listens on state/control.sock (0600), or on loopback for those who know the token in state/control.token."""

    def __init__(self, state_dir: Path, handlers: Mapping[str, Handler], *, transport: Transport = STANDARD) -> None:
        self._state_dir, self._handlers, self._transport = state_dir, handlers, transport
        self._path = state_dir / (SOCKET_FILE if transport == "unix" else TOKEN_FILE)
        self._token = secrets.token_hex(16) if transport == "tcp" else ""
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, None] = {}
        self._made: os.stat_result | None = None
        """The file by which clients find the way here."""
        self._clock = SystemClock()

    async def start(self) -> None:
        """Begin to listen. The caller holds the state folder's lock, so a socket file that is there is stale."""
        patiently(partial(self._path.unlink, missing_ok=True))
        await self._listen()
        self._made = self._path.stat()

    async def _listen(self) -> None:
        if sys.platform != "win32" and self._transport == "unix":
            self._server = await asyncio.start_unix_server(
                self._serve, sock=_unix_listener(self._state_dir), limit=REQUEST_BYTES
            )
            return
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, limit=REQUEST_BYTES)
        door = TcpDoor(port=self._server.sockets[0].getsockname()[1], token=self._token)
        write_atomic(self._path, msgspec.json.encode(door), mode=0o600)

    def is_there(self) -> bool:
        """Whether clients still find the way here."""
        try:
            return self._made is not None and os.path.samestat(self._made, self._path.stat())
        except OSError:
            return False

    async def close(self) -> None:
        """Listen no longer, and let go of everybody who is still there."""
        if self._server is None:
            return
        self._server.close()
        if self.is_there():  # else it is another orchestrator's
            patiently(partial(self._path.unlink, missing_ok=True))
        for writer in self._clients:
            writer.transport.abort()
        for _ in range(LAST_TURNS):
            if self._clients:
                await self._clock.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._admit(writer)
        try:
            async with asyncio.timeout(None) as limit:
                await self._converse(reader, writer, limit)
                limit.reschedule(_in_s(REQUEST_S))
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            del self._clients[writer]

    def _admit(self, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CLIENTS:
            next(iter(self._clients)).transport.abort()
        self._clients[writer] = None

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: asyncio.Timeout
    ) -> None:
        """Answer line by line until the client has no more, or has sent what cannot be followed any further."""
        whole = True
        while whole:
            limit.reschedule(_in_s(IDLE_S))
            first = await reader.read(1)
            if not first:
                return
            line, whole = await _line(reader, first)
            said = answer(line, self._handlers, token=self._token) if whole else _unfinished(line)
            writer.write(msgspec.json.encode(said) + b"\n")
            await writer.drain()
            await self._clock.sleep(0)  # the others' turn: with many requests at hand nothing above would wait
        await _discard(reader)


def _unix_listener(state_dir: Path) -> socket.socket:
    if sys.platform == "win32":
        raise AssertionError("the door of Windows is TCP")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    old_mask = os.umask(0o177)
    try:
        with short_address(state_dir) as address:
            listener.bind(address)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(old_mask)
    return listener


def _in_s(delay_s: float) -> float:
    return asyncio.get_running_loop().time() + delay_s


async def _line(reader: asyncio.StreamReader, first: bytes) -> tuple[bytes, bool]:
    """Return the line that begins with `first`, and whether it came to its end: by a line end or the client's."""
    if first == b"\n":
        return first, True
    try:
        async with asyncio.timeout(REQUEST_S):
            return first + await reader.readuntil(b"\n"), True
    except asyncio.IncompleteReadError as error:
        return first + error.partial, True
    except asyncio.LimitOverrunError:
        return b"x" * REQUEST_BYTES, False
    except TimeoutError:
        return first, False


def _unfinished(line: bytes) -> dict[str, Any]:
    if len(line) >= REQUEST_BYTES:
        return {"error": f"the request is longer than {REQUEST_BYTES} bytes; send one short JSON line"}
    return {"error": f"the request has no end after {REQUEST_S:g} s; send one JSON line with a line end"}


async def _discard(reader: asyncio.StreamReader) -> None:
    """Take the rest for a moment: a connection that is closed before may lose our answer on its way."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REQUEST_S):
            while await reader.read(REQUEST_BYTES):
                pass
