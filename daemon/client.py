"""Asks the running orchestrator over its control socket. Never waits longer than told, never starts one.

Where the system has no Unix sockets it listens on loopback; port and token are in a file that only its user may read.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.clock import Clock, SystemClock
from core.errors import NotRunning
from core.files import patiently

SOCKET_FILE = "control.sock"
TOKEN_FILE = "control.token"
LOOPBACK = "127.0.0.1"
ANSWER_BYTES = 4 * 1024 * 1024
READ_BYTES = 65_536

Transport = Literal["unix", "tcp"]
STANDARD: Transport = "unix" if hasattr(socket, "AF_UNIX") else "tcp"


class TcpDoor(msgspec.Struct, frozen=True, kw_only=True):
    """What control.token holds; each request must bring `token`."""

    port: int
    token: str


@contextmanager
def short_address(state_dir: Path) -> Iterator[str]:
    """Yield an address of the control socket that fits into the 108 bytes of sun_path, however long the path is."""
    if sys.platform == "win32":
        raise AssertionError("the door of Windows is TCP")
    fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        through = f"/proc/self/fd/{fd}"
        yield f"{through}/{SOCKET_FILE}" if os.path.exists(through) else str(state_dir / SOCKET_FILE)
    finally:
        os.close(fd)


def ask(
    state_dir: Path, request: Mapping[str, Any], *, timeout_s: float = 2.0, transport: Transport = STANDARD
) -> dict[str, Any]:
    """Return the orchestrator's answer to one request; NotRunning if nobody answers."""
    where = state_dir / (SOCKET_FILE if transport == "unix" else TOKEN_FILE)
    try:
        answer = _exchange(state_dir, request, timeout_s, transport)
        return msgspec.json.decode(answer, type=dict[str, Any])
    except TimeoutError as error:
        right = "look into logs/tickerd.jsonl, or wait"
        raise _not_running(where, f"the orchestrator gives no answer within {timeout_s:g} s", right) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise _not_running(where, "no orchestrator answers", "start it with `tickerd run`") from error


def _not_running(where: Path, reason: str, right: str) -> NotRunning:
    return NotRunning(reason, where=str(where), right=right)


def _exchange(state_dir: Path, request: Mapping[str, Any], timeout_s: float, transport: Transport) -> bytes:
    limit = _Limit(timeout_s, SystemClock())
    if transport == "tcp":
        door = msgspec.json.decode(patiently((state_dir / TOKEN_FILE).read_bytes), type=TcpDoor)
        request = {**request, "token": door.token}
    line = msgspec.json.encode(request) + b"\n"
    with socket.socket(_family(transport), socket.SOCK_STREAM) as connection:
        connection.settimeout(limit.left_s())
        if transport == "tcp":
            connection.connect((LOOPBACK, door.port))
        else:
            with short_address(state_dir) as address:
                connection.connect(address)
        connection.sendall(line)
        return _answer_line(connection, limit)


def _family(transport: Transport) -> int:
    if sys.platform == "win32" or transport == "tcp":
        return socket.AF_INET
    return socket.AF_UNIX


class _Limit:
    """One time limit over several waits: an answer that comes byte by byte ends as well."""

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._clock, self._end_s = clock, clock.monotonic_s() + timeout_s

    def left_s(self) -> float:
        left_s = self._end_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def _answer_line(connection: socket.socket, limit: _Limit) -> bytes:
    answer = bytearray()
    while not answer.endswith(b"\n") and len(answer) < ANSWER_BYTES:
        connection.settimeout(limit.left_s())
        part = connection.recv(READ_BYTES)
        if not part:
            break
        answer += part
    return bytes(answer)
