from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from core.tasks import cancel_all, spawn
from market.quotes import Tick
from net.tls import build_trust
from scanners.prices.connection import ShardConnection
from simulator import testing
from tests.fix_scanners import ShiftedClock, changed, eventually

TICKERS = ("AAPL", "MSFT", "BRK-B")


@dataclass(slots=True, kw_only=True)
class Ear:
    """One connection and what it told."""

    connection: ShardConnection
    clock: ShiftedClock
    ticks: list[Tick] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def heard(self, count: int = 1) -> Callable[[], bool]:
        """Whether `count` more ticks have come since now."""
        wanted = len(self.ticks) + count
        return lambda: len(self.ticks) >= wanted

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()


@asynccontextmanager
async def listening(
    market: testing.PracticeMarket, folder: Path, tickers: tuple[str, ...] = TICKERS, **prices: Any
) -> AsyncIterator[Ear]:
    network = {"proxy": market.proxy_url, "ca_file": str(market.ca_file)}
    settings = changed(Settings(), {"network": network, "prices": prices})
    clock = ShiftedClock()
    ticks: list[Tick] = []
    failures: list[str] = []
    connection = ShardConnection(
        7,
        tickers,
        settings=settings,
        trust=build_trust(ca_file=str(market.ca_file), state_dir=folder),
        clock=clock,
        on_tick=ticks.append,
        on_failure=failures.append,
    )
    running = spawn(connection.run(), name="connection", on_error=lambda _error: None)
    try:
        yield Ear(connection=connection, clock=clock, ticks=ticks, failures=failures)
    finally:
        ended = running.done()
        await cancel_all([running])
        assert not ended, "a connection never ends on its own"


async def test_each_ticker_is_heard_and_the_canary_is_not_handed_on(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path) as ear:
        await eventually(lambda: {tick.ticker for tick in ear.ticks} == set(TICKERS))
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
    assert {tick.ticker for tick in ear.ticks} == set(TICKERS)


async def test_the_canary_is_asked_last(still_market: testing.PracticeMarket, tmp_path: Path) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        (stream,) = still_market.server.streams.connections
        assert list(stream.subscription.symbols) == [*TICKERS, "BTC-USD"]


async def test_a_list_that_the_upstream_cuts_off_is_never_proven(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    still_market.faults.symbols_per_connection = len(TICKERS)
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        assert not ear.connection.proven(now_s=ear.now_s)


async def test_a_proof_lapses_when_the_canary_falls_silent(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
        heard_s = ear.connection.canary_heard_s
        assert heard_s is not None
        assert ear.connection.proven(now_s=heard_s + 60.0)
        assert not ear.connection.proven(now_s=heard_s + 60.1)


@pytest.mark.parametrize(
    ("code", "cause"), [(1000, "closed_1000"), (1001, "closed_1001"), (1006, "closed_1005"), (None, "reset")]
)
async def test_a_closed_connection_is_opened_anew_and_counted_by_its_cause(
    practice_market: testing.PracticeMarket, tmp_path: Path, code: int | None, cause: str
) -> None:
    """1006 is never sent: it stands for an end without a close frame, here one without a code."""
    async with listening(practice_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        if code == 1006:
            for stream in list(practice_market.server.streams.connections):
                stream.close(None)
        else:
            practice_market.server.close_streams(code)
        await eventually(lambda: ear.connection.losses)
        await eventually(ear.heard(3))
        assert ear.connection.losses == {cause: 1}
        assert len(ear.failures) == 1


async def test_an_end_of_the_tcp_stream_without_a_close_frame_is_a_reset(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        for stream in list(practice_market.server.streams.connections):
            stream.writer.close()
        await eventually(ear.heard(3))
        assert ear.connection.losses == {"reset": 1}


async def test_a_proof_ends_with_its_connection(practice_market: testing.PracticeMarket, tmp_path: Path) -> None:
    async with listening(practice_market, tmp_path) as ear:
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
        practice_market.faults.refuse_connections = True
        practice_market.server.close_streams(1000)
        await eventually(lambda: ear.connection.losses)
        assert not ear.connection.proven(now_s=ear.now_s)


async def test_a_mute_connection_is_dropped_and_heals_when_prices_come_again(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path, stall_timeout_s=5.0) as ear:
        await eventually(ear.heard(3))
        practice_market.faults.mute_streams = True
        last_s = ear.connection.last_frame_s
        assert last_s is not None
        ear.connection.abort_if_stalled(now_s=last_s + 5.0)
        assert ear.connection.opened_s is not None
        ear.connection.abort_if_stalled(now_s=ear.now_s + 5.1)
        await eventually(lambda: ear.connection.losses == {"stalled": 1})
        practice_market.faults.mute_streams = False
        await eventually(ear.heard(3))


async def test_a_connection_without_any_frame_yet_is_given_its_time(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    practice_market.faults.mute_streams = True
    async with listening(practice_market, tmp_path, stall_timeout_s=5.0) as ear:
        opened_s = await eventually(lambda: ear.connection.opened_s)
        ear.connection.abort_if_stalled(now_s=opened_s + 5.0)
        assert ear.connection.losses == {}
        ear.connection.abort_if_stalled(now_s=opened_s + 5.1)
        await eventually(lambda: ear.connection.losses == {"stalled": 1})


async def test_what_is_refused_after_a_stall_is_not_counted_as_a_stall(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path, stall_timeout_s=5.0) as ear:
        await eventually(ear.heard(3))
        practice_market.faults.refuse_connections = True
        ear.connection.abort_if_stalled(now_s=ear.now_s + 60.0)
        await eventually(lambda: ear.connection.losses.total() >= 3)
        assert ear.connection.losses["stalled"] == 1


async def test_refused_connections_are_tried_until_one_is_taken(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    practice_market.faults.refuse_connections = True
    async with listening(practice_market, tmp_path) as ear:
        await eventually(lambda: ear.connection.losses.total() >= 2)
        assert ear.ticks == []
        practice_market.faults.refuse_connections = False
        await eventually(ear.heard(3))


async def test_a_port_where_nobody_listens_is_counted_as_refused(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = testing.PracticeMarket(
        proxy_url=f"http://127.0.0.1:{port}", ca_file=practice_market.ca_file, server=practice_market.server
    )
    async with listening(nobody, tmp_path) as ear:
        await eventually(lambda: ear.connection.losses)
        assert set(ear.connection.losses) == {"refused"}
        assert "refused" in ear.failures[0]


async def test_frames_that_are_no_prices_are_counted_and_disturb_nothing(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        (stream,) = still_market.server.streams.connections
        for text in (b"not json", b'{"type":"earnings"}', b'{"type":"pricing","message":"%%%"}', b"[]", b"null"):
            stream.send(b"\x81" + bytes([len(text)]) + text)
        await eventually(lambda: ear.connection.skipped.total() == 5)
        assert ear.connection.skipped == {"not_json": 1, "other_type": 3, "not_pricing_data": 1}
        assert ear.connection.losses == {}


async def test_cancelling_a_connection_closes_its_socket(still_market: testing.PracticeMarket, tmp_path: Path) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
    await eventually(lambda: not still_market.server.streams.connections)
    assert ear.connection.opened_s is None


async def test_two_connections_lose_nothing_of_each_other(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with (
        listening(practice_market, tmp_path, ("AAPL",)) as one,
        listening(practice_market, tmp_path, ("MSFT",)) as other,
    ):
        await eventually(lambda: one.ticks and other.ticks)
        for stream in list(practice_market.server.streams.connections):
            if "AAPL" in stream.subscription.symbols:
                stream.close(1001)
        await eventually(lambda: one.connection.losses)
        await asyncio.gather(eventually(one.heard()), eventually(other.heard()))
        assert other.connection.losses == {}
