"""The control socket: a JSON request a line, a JSON answer a line. Decides nothing; no input can harm the daemon."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from core.errors import TickerdError
from daemon.client import SOCKET_FILE, short_address

REQUEST_BYTES = 65_536
IDLE_S = 30.0  # a client that says nothing this long is let go

Handler = Callable[[str], dict[str, Any]]
"""Takes the request's `name` ("" if there is none), returns the answer; it may not wait."""


class Request(msgspec.Struct, frozen=True):
    command: str
    name: str = ""


class Refused(Exception):
    """A request that makes no sense; the text goes back to who asked."""


def answer(line: bytes, handlers: Mapping[str, Handler]) -> dict[str, Any]:
    """Return the answer to one line, whatever it holds."""
    try:
        request = msgspec.json.decode(line, type=Request)
        if request.command not in handlers:
            raise Refused(f"unknown command {request.command!r}; known: {', '.join(sorted(handlers))}")
        return handlers[request.command](request.name)
    except msgspec.MsgspecError as error:
        return {"error": f'not a request: {error}; send {{"command": "status"}} on one line'}
    except (Refused, TickerdError) as error:
        return {"error": str(error)}


class ControlServer:
    """Listens on state/control.sock (0600)."""

    def __init__(self, state_dir: Path, handlers: Mapping[str, Handler]) -> None:
        self._state_dir = state_dir
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen. The caller holds the state folder's lock, so a socket file that is there is stale."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        old_mask = os.umask(0o177)
        try:
            with short_address(self._state_dir) as address:
                listener.bind(address)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(old_mask)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_BYTES)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._state_dir / SOCKET_FILE

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(IDLE_S):
                while line := await _line(reader):
                    writer.write(msgspec.json.encode(self._answer(line)) + b"\n")
                    await writer.drain()
                    if len(line) > REQUEST_BYTES:
                        break
        writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        if len(line) > REQUEST_BYTES:
            return {"error": f"the request is longer than {REQUEST_BYTES} bytes; send one short JSON line"}
        return answer(line, self._handlers)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; more than REQUEST_BYTES of one that is too long; empty at the end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        return b"x" * (REQUEST_BYTES + 1)
