from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from api.streams.doors import Doors, Stream
from api.streams.hub import Hub, Message
from api.streams.listener import Listener, Piece
from api.streams.sending import Sender, side_by_side
from core.settings import Settings
from tests.api.streams.test_doors import ANN, Allowed
from tests.fix_storage import StillClock


class Line:
    """One stream, its hub and what was sent on it. `room`: set while the client takes something."""

    def __init__(self, *, of_scan: bool = False) -> None:
        self.hub, self.sent = Hub(), cast(list[list[int]], [])
        self.doors = Doors(cast(Any, Allowed()), Settings(), StillClock())
        self.stream = Stream(ANN, "websocket", "/ws", Listener(self.hub, cast(Any, None), cast(Any, None)), of_scan)
        self.room = asyncio.Event()
        self.room.set()
        self.sender = Sender(self.doors, self.stream, self.send)

    async def send(self, pieces: Sequence[Piece]) -> int:
        await self.room.wait()
        self.sent.append([piece.seq for piece in pieces])
        return len(pieces)

    def say(self, *seqs: int) -> None:
        self.hub.signals.add([Message({}, seq) for seq in seqs])


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await StillClock().sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def test_what_comes_while_a_client_takes_nothing_is_one_frame_when_it_does() -> None:
    async def talk() -> None:
        line = Line()
        line.stream.listener.want_numbered("signals", None)
        running = asyncio.ensure_future(line.sender.run())
        line.say(1)
        await until(lambda: line.sent == [[1]])
        line.room.clear()
        line.say(2)
        await until(lambda: line.stream.sending_since_s is not None)
        line.say(3, 4)
        line.say(5)
        line.room.set()
        await until(lambda: line.sent == [[1], [2], [3, 4, 5]])
        assert line.stream.sending_since_s is None
        line.doors.open.add(line.stream)
        line.doors.close()
        await asyncio.wait_for(running, 30)

    asyncio.run(talk())


def test_a_scans_stream_ends_with_its_scan() -> None:
    async def talk() -> None:
        line = Line(of_scan=True)
        scan = line.hub.scan("s")
        line.stream.listener.want_scan("s")
        running = asyncio.ensure_future(line.sender.run())
        scan.add([Message({}, 1)])
        scan.say({"status": "complete"}, ended=True)
        await asyncio.wait_for(running, 30)
        assert [seq for frame in line.sent for seq in frame] == [1, 0, 0]

    asyncio.run(talk())


def test_a_beat_that_is_due_is_sent_without_news() -> None:
    async def talk() -> None:
        line = Line()
        running = asyncio.ensure_future(line.sender.run())
        line.stream.is_beat_due = True
        line.stream.listener.wake()
        await until(lambda: line.sent)
        assert line.sent == [[]] and not line.stream.is_beat_due, "one beat"
        line.stream.listener.wake()
        line.stream.listener.want_numbered("signals", None)
        line.say(1)
        await until(lambda: len(line.sent) > 1)
        assert line.sent == [[], [1]], "a waking without news or a beat is silent"
        running.cancel()

    asyncio.run(talk())


def test_the_end_of_the_sending_ends_the_reading_and_the_other_way_round() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def broken() -> None:
        raise ConnectionError("gone")

    async def talk() -> None:
        over = Line()
        over.doors.closing = True
        assert await side_by_side(over.sender, over.stream, for_ever) is None
        read = Line()
        assert isinstance(await side_by_side(read.sender, read.stream, broken), ConnectionError)
        assert read.stream.task is not None and read.stream.task.cancelled()
        ended = Line()
        reading = asyncio.ensure_future(side_by_side(ended.sender, ended.stream, for_ever))
        await until(lambda: ended.stream.task is not None)
        ended.stream.end("slow")
        assert await asyncio.wait_for(reading, 30) is None and ended.stream.ending == "slow"

    asyncio.run(talk())


def test_who_cancels_the_reading_from_outside_is_obeyed() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def talk() -> None:
        line = Line()
        reading = asyncio.ensure_future(side_by_side(line.sender, line.stream, for_ever))
        await until(lambda: line.stream.task is not None)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert line.stream.task is not None and line.stream.task.done()

    asyncio.run(talk())


@pytest.mark.parametrize("at_once", [True, False])
def test_an_end_of_the_sending_leaves_no_cancellation_behind(at_once: bool) -> None:
    """Nor does that of a client that goes `at_once`, in the very step in which the sending ends."""

    async def talk() -> None:
        line, has_gone = Line(), asyncio.get_running_loop().create_future()

        class Ending(Sender):
            async def run(self) -> None:
                if at_once:
                    has_gone.set_result(None)

        async def read() -> None:
            await has_gone

        reader = asyncio.current_task()
        assert reader is not None
        async with asyncio.timeout(30):
            assert await side_by_side(Ending(line.doors, line.stream, line.send), line.stream, read) is None
            for _ in range(3):
                await StillClock().sleep(0)
                await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        assert not reader.cancelling()
        assert line.stream.task is not None and line.stream.task.done() and not line.stream.task.cancelled()

    asyncio.run(talk())
