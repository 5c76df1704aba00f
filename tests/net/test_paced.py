from __future__ import annotations

import asyncio
import gc
import selectors
import socket
import threading
from collections.abc import Iterator

import pytest

from core.clock import SystemClock, pause
from net.paced import GARBAGE, PacedSelector, paced_loop

CLOCK = SystemClock()
PACE_S = 0.2


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as ours:
            theirs, _ = listener.accept()
            with theirs:
                yield ours, theirs


@pytest.fixture
def selector(pair: tuple[socket.socket, socket.socket]) -> Iterator[PacedSelector]:
    with PacedSelector(PACE_S, busy=1) as paced:
        paced.register(pair[0], selectors.EVENT_READ)
        yield paced


def test_what_comes_after_an_answer_is_found_at_the_end_of_the_pause_and_no_sooner(
    selector: PacedSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].send(b"a")
    assert selector.select(5.0)
    answered_s = CLOCK.monotonic_s()
    assert pair[0].recv(9) == b"a"
    pair[1].send(b"b")
    assert selector.select(0) == []
    assert selector.select(5.0)
    assert CLOCK.monotonic_s() - answered_s > 0.9 * PACE_S
    assert pair[0].recv(9) == b"b"


def test_without_a_timeout_it_waits_for_whatever_comes(
    selector: PacedSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    sending = threading.Timer(0.05, pair[1].send, [b"a"])
    sending.start()
    for _ in range(2):  # once without a pause before it, once with one
        assert [key.fileobj for key, _ in selector.select()] == [pair[0]]
    sending.join()


def test_a_timer_that_is_due_within_the_pause_is_not_delayed(
    selector: PacedSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].send(b"a")
    assert selector.select(5.0)
    answered_s = CLOCK.monotonic_s()
    assert selector.select(0.01) == []
    assert CLOCK.monotonic_s() - answered_s >= 0.01
    assert selector.select(5.0), "the pause of 0.2 s has an end"


def test_work_that_is_ready_keeps_the_sockets_waiting_no_longer_than_the_pause(
    selector: PacedSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A loop with something to do asks with a timeout of 0, time and again."""
    pair[1].send(b"a")
    assert selector.select(5.0)
    assert selector.select(0) == []
    pause(PACE_S)
    assert selector.select(0)


def test_where_little_comes_nothing_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    """Opening a connection takes six answers: by a pause before each it would take a third of a second."""
    with PacedSelector(30.0) as selector:
        selector.register(pair[0], selectors.EVENT_READ)
        for letter in (b"a", b"b", b"c"):
            pair[1].send(letter)
            assert selector.select(5.0)
            assert pair[0].recv(9) == letter


def test_a_time_in_which_little_came_ends_the_pauses(pair: tuple[socket.socket, socket.socket]) -> None:
    with PacedSelector(0.05, busy=2) as selector:
        selector.register(pair[0], selectors.EVENT_READ)
        pair[1].send(b"a")
        for _ in range(2):  # the same byte, ready again and again
            assert selector.select(5.0)
        pause(0.05)
        assert selector.select(5.0)  # a busy time is over
        assert selector.select(5.0)  # the next one, all of it waited for, brings a single answer
        assert selector.select(0), "nobody waits any more"


def test_a_loop_of_this_kind_carries_streams_threads_and_timers() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def work() -> tuple[bytes, int]:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            heard = await reader.readline()
            writer.close()
            await writer.wait_closed()
        await CLOCK.sleep(0.01)
        return heard, await asyncio.to_thread(len, "four")

    before = gc.get_threshold()
    try:
        with asyncio.Runner(loop_factory=paced_loop) as runner:
            assert runner.run(work()) == (b"hello\n", 4)
        assert gc.get_threshold() == GARBAGE
    finally:
        gc.set_threshold(*before)
