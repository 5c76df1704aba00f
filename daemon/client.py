"""Asks the running orchestrator over its control socket. Never waits longer than told, never starts one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from core.errors import NotRunning

SOCKET_FILE = "control.sock"
ANSWER_BYTES = 4 * 1024 * 1024


@contextmanager
def short_address(state_dir: Path) -> Iterator[str]:
    """Yield an address of the control socket that fits into the 108 bytes of sun_path, however long the path is."""
    fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        through = f"/proc/self/fd/{fd}"
        yield f"{through}/{SOCKET_FILE}" if os.path.exists(through) else str(state_dir / SOCKET_FILE)
    finally:
        os.close(fd)


def ask(state_dir: Path, request: Mapping[str, Any], *, timeout_s: float = 2.0) -> dict[str, Any]:
    """Return the orchestrator's answer to one request; NotRunning if nobody answers."""
    try:
        answer = _exchange(state_dir, msgspec.json.encode(request) + b"\n", timeout_s)
        return msgspec.json.decode(answer, type=dict[str, Any])
    except TimeoutError as error:
        right = "look into logs/tickerd.jsonl, or wait"
        raise _not_running(state_dir, f"the orchestrator gives no answer within {timeout_s:g} s", right) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise _not_running(state_dir, "no orchestrator answers", "start it with `tickerd run`") from error


def _not_running(state_dir: Path, reason: str, right: str) -> NotRunning:
    return NotRunning(reason, where=str(state_dir / SOCKET_FILE), right=right)


def _exchange(state_dir: Path, line: bytes, timeout_s: float) -> bytes:
    with short_address(state_dir) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(address)
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            return answers.readline(ANSWER_BYTES)
