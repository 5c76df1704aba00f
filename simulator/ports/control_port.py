"""The control port: a JSON order a line in, a JSON answer a line out. Carries nothing out itself."""

from __future__ import annotations

import asyncio
import socket

import msgspec

from core.errors import EXIT_FAILED, FixByHand, NotRunning, TickerdError
from core.logs import get_logger
from core.tasks import cancel_all
from simulator.ports.control import Control

log = get_logger(__name__)

LINE_BYTES = 8 << 20
"""A table of 12,000 rows to check takes 0.5 MB."""
PATIENCE_S = 30.0


class ControlPort:
    """Speaks to any number of clients."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._clients: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it is gone or says something that is no JSON: a browser, for one."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while line := await reader.readline():
                answer, goes_on = self._answer(line)
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
                if not goes_on:
                    break
            writer.close()
            await writer.wait_closed()
        except (OSError, ValueError, asyncio.CancelledError) as error:  # ValueError: a line too long
            log.debug("practice_client_left", error=repr(error))
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        """End every connection."""
        await cancel_all([*self._clients])

    def _answer(self, line: bytes) -> tuple[dict[str, object], bool]:
        try:
            document = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            return _refusal(FixByHand(f"no JSON: {error}", where="order", right='send {"do": "status"}')), False
        try:
            return {"version": 1, "ok": True, "result": self._control.obey(document)}, True
        except TickerdError as error:
            return _refusal(error), True


def ask(address: tuple[str, int], document: object) -> object:
    """Send one order to the control port at `address` and return its result; the error that it answers is raised.

    Blocks for as long as the market takes, milliseconds as a rule.
    """
    try:
        with socket.create_connection(address, timeout=PATIENCE_S) as connection:
            connection.sendall(msgspec.json.encode(document) + b"\n")
            with connection.makefile("rb") as lines:
                answer = msgspec.json.decode(lines.readline())
    except (OSError, msgspec.DecodeError) as error:
        where = f"{address[0]}:{address[1]}"
        right = "give the control address that `tickerd simulate` tells"
        raise NotRunning(f"no practice market answers ({error})", where=where, right=right) from error
    if answer["ok"]:
        return answer["result"]
    raise _Refused(answer["error"], exit_code=answer["exit_code"])


class _Refused(TickerdError):
    """What the market on the other side has raised, in its words."""

    def __init__(self, words: str, *, exit_code: int) -> None:
        super().__init__(words)
        self.exit_code = exit_code


def _refusal(error: TickerdError) -> dict[str, object]:
    return {"version": 1, "ok": False, "error": str(error), "exit_code": error.exit_code or EXIT_FAILED}
