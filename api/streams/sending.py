"""The loop that sends one listener what is new, frame by frame, at the pace at which it takes them. Reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.websockets import WebSocketDisconnect

from api.problems import Problem
from api.streams.doors import Doors, Stream
from api.streams.listener import Piece
from api.streams.protocol import BadMessage
from core import tasks
from core.errors import RetryLater
from core.logs import get_logger

log = get_logger(__name__)

Send = Callable[[Sequence[Piece]], Awaitable[int]]
"""Writes pieces to a socket and returns when there is room for more: how many of them it told. None of them: a beat."""


class Sender:
    """`throttle_s`: least time between two frames, which a client asks for."""

    def __init__(self, doors: Doors, stream: Stream, send: Send) -> None:
        self._doors, self._stream, self._send = doors, stream, send
        self.throttle_s = 0.0

    async def run(self) -> None:
        """Send until the server stops, or until the scan that the stream is about is told to its end."""
        clock, stream = self._doors.clock, self._stream
        listener = stream.listener
        while not self._doors.closing:
            await listener.news()
            woken_s = clock.monotonic_s()
            pieces = await listener.take()
            if pieces or stream.is_beat_due:
                stream.is_beat_due, stream.sending_since_s = False, woken_s
                sent = await self._send(pieces)
                stream.sending_since_s = None
                if sent:
                    stream.told_s = clock.monotonic_s()
                    self._doors.told(stream, pieces, stream.told_s - woken_s)
            if stream.of_scan and listener.scans_are_over:
                return
            if self.throttle_s:
                await clock.sleep(self.throttle_s)


async def side_by_side(sender: Sender, stream: Stream, read: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Send in a task and read in this one until either ends; return the error that ended it, if one did.

    The end of the sending breaks the reading off as a time-out would: two tasks and a wait for both of them would cost
    each client two kilobytes more.
    """
    reader, is_reading = asyncio.current_task(), True
    assert reader is not None

    def break_off(_sends: asyncio.Task[None]) -> None:
        if is_reading:
            reader.cancel()

    sends = stream.task = tasks.spawn(sender.run(), name="stream", on_error=_note)
    sends.add_done_callback(break_off)
    try:
        await read()
    except asyncio.CancelledError:
        if not sends.done() or reader.uncancel():
            raise  # somebody else's wish: the process ends
        return None if sends.cancelled() else sends.exception()
    except Exception as error:
        _note(error)
        return error
    finally:
        is_reading = False
        await tasks.cancel_all([sends])
    return None


def _note(error: BaseException) -> None:
    """What a client did is told to it; what this program did wrong, or the database, is in the log."""
    if isinstance(error, RetryLater):
        log.warning("stream_broken_off", error=str(error))
    elif not isinstance(error, WebSocketDisconnect | BadMessage | Problem):
        log.error("stream_failed", error=repr(error))
