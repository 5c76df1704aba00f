"""How long and how large the head of a request may be: who sends a byte a minute holds no connection.

The server itself waits for a head for ever, and keeps all of it. On Windows, where it parses in Python, its own bound
of size holds and there is none of time. Reads no request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN_S = 10.0
MOST_BYTES = 128 * 1024
"""Of a head and of what of the body comes in the same packet."""


class PatientHttp(HttpToolsProtocol):
    """A connection that is closed if the head of a request takes too long or too much."""

    _timer: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:
            self._received += len(data)
            if self._received > MOST_BYTES:
                self._give_up()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        self._end()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._timer is None:
            self._received = 0
            self._timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.transport.close()
