from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.flight import FlightRecorder, Record, read_flight, segments
from core.settings import Settings
from core.tasks import cancel_all, spawn
from market.quotes import Tick
from net import stream
from net.tls import build_trust
from scanners.prices.connection import ShardConnection
from scanners.prices.retries import Pace
from simulator import testing
from simulator.stream.wire import frame_of
from tests.fix_clock import FakeClock
from tests.fix_ports import deaf_port
from tests.fix_scanners import ShiftedClock, changed, eventually
from tests.fix_simulator import pricing_schema

TICKERS = ("AAPL", "MSFT", "BRK-B")
SETTLED_S = 0.05
"""A connection that was dropped is lost by then."""


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
    market: testing.PracticeMarket,
    folder: Path,
    tickers: tuple[str, ...] = TICKERS,
    flight: FlightRecorder | None = None,
    speed: float = 1.0,
    **prices: Any,
) -> AsyncIterator[Ear]:
    network = {"proxy": market.proxy_url, "ca_file": str(market.ca_file)}
    settings = changed(Settings(), {"network": network, "prices": prices})
    clock = ShiftedClock(speed=speed)
    ticks: list[Tick] = []
    failures: list[str] = []
    connection = ShardConnection(
        7,
        tickers,
        settings=settings,
        trust=build_trust(ca_file=str(market.ca_file), state_dir=folder),
        clock=clock,
        pace=Pace(0.0),
        on_tick=ticks.append,
        on_failure=failures.append,
        flight=flight,
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


async def test_each_frame_is_recorded_as_it_came_also_one_that_says_nothing(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    flight = FlightRecorder(tmp_path / "flight", scanner="prices", limit_mb=1, clock=FakeClock())
    flight.start()
    async with listening(still_market, tmp_path, flight=flight) as ear:
        await eventually(ear.heard(3))
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
        (stream,) = still_market.server.streams.connections
        stream.send(b"\x81\x05hello")
        await eventually(lambda: ear.connection.parser.skipped)
    flight.close()
    *frames, hello = [each for path in segments(tmp_path / "flight") for each in read_flight(path)]
    assert isinstance(hello, Record) and (hello.kind, hello.source, hello.raw) == ("frame", "7", b"hello")
    assert len(frames) == 4  # three tickers and the canary
    messages = [json.loads(each.raw)["message"] for each in frames if isinstance(each, Record)]
    schema = pricing_schema()
    assert {schema.FromString(b64decode(message)).id for message in messages} == {*TICKERS, "BTC-USD"}


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
        assert ear.connection.proven(now_s=heard_s + 59.9)
        assert not ear.connection.proven(now_s=heard_s + 60.1)


async def test_a_connection_fails_a_minute_after_its_last_proof_or_its_start(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
        proven_s = ear.connection.canary_heard_s
        assert proven_s is not None
        still_market.faults.refuse_connections = True
        still_market.server.close_streams(1000)
        await eventually(lambda: ear.connection.losses)
        assert not ear.connection.is_failing(now_s=proven_s + 59.9)
        assert ear.connection.is_failing(now_s=proven_s + 60.1)
        still_market.faults.refuse_connections = False
        await eventually(lambda: ear.connection.proven(now_s=ear.now_s))
        assert not ear.connection.is_failing(now_s=proven_s + 60.1)


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
        last_s = ear.connection.last_tick_s
        assert last_s is not None
        ear.connection.watch(now_s=last_s + 4.9)
        await ear.clock.sleep(SETTLED_S)
        assert ear.connection.opened_s is not None
        ear.connection.watch(now_s=ear.now_s + 5.1)
        await eventually(lambda: ear.connection.losses == {"stalled": 1})
        practice_market.faults.mute_streams = False
        await eventually(ear.heard(3))


async def test_a_connection_without_any_frame_yet_is_given_its_time(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    practice_market.faults.mute_streams = True
    async with listening(practice_market, tmp_path, stall_timeout_s=5.0) as ear:
        opened_s = await eventually(lambda: ear.connection.opened_s)
        ear.connection.watch(now_s=opened_s + 4.9)
        await ear.clock.sleep(SETTLED_S)
        assert ear.connection.losses == {}
        ear.connection.watch(now_s=opened_s + 5.1)
        await eventually(lambda: ear.connection.losses == {"stalled": 1})


async def test_what_is_refused_after_a_stall_is_not_counted_as_a_stall(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path, stall_timeout_s=5.0) as ear:
        await eventually(ear.heard(3))
        practice_market.faults.refuse_connections = True
        ear.connection.watch(now_s=ear.now_s + 60.0)
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
    nobody = copy(practice_market)
    with deaf_port() as port:
        nobody.proxy_url = f"http://127.0.0.1:{port}"
        async with listening(nobody, tmp_path) as ear:
            await eventually(lambda: ear.connection.losses)
            assert set(ear.connection.losses) == {"refused"}
            assert "refused" in ear.failures[0]


async def test_subscriptions_are_repeated_because_they_may_lapse(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path, speed=100.0) as ear:
        await eventually(ear.heard(3))
        (stream,) = still_market.server.streams.connections
        for _ in range(2):
            stream.subscription.symbols.clear()
            await eventually(lambda: len(stream.subscription.symbols) == 4)
        assert ear.connection.losses == {}


async def test_a_list_that_is_cut_off_is_found_counted_and_opened_anew(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    """100 are honoured of 101: here three of four."""
    practice_market.fault("cut_symbols", symbols=3)
    async with listening(practice_market, tmp_path, stall_timeout_s=3600.0) as ear:
        await eventually(lambda: ear.connection.heard == set(TICKERS))
        opened_s = ear.connection.opened_s
        assert opened_s is not None
        ear.connection.watch(now_s=opened_s + 59.9)
        await ear.clock.sleep(SETTLED_S)
        assert ear.connection.losses == {}
        ear.connection.watch(now_s=opened_s + 60.1)
        await eventually(lambda: ear.connection.losses == {"truncated": 1})
        practice_market.clear("cut_symbols")
        await eventually(ear.heard(3))


async def test_each_time_a_list_is_cut_off_it_is_given_twice_the_time(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    practice_market.fault("cut_symbols", symbols=3)
    async with listening(practice_market, tmp_path, stall_timeout_s=3600.0) as ear:
        for count, patience_s in enumerate((60.0, 120.0, 240.0)):
            await eventually(lambda: ear.connection.opened_s and ear.connection.heard)
            opened_s = ear.connection.opened_s
            assert opened_s is not None
            ear.connection.watch(now_s=opened_s + patience_s - 0.1)
            await ear.clock.sleep(SETTLED_S)
            assert ear.connection.losses.total() == count
            ear.connection.watch(now_s=opened_s + patience_s + 0.1)
            await eventually(lambda count=count: ear.connection.losses.total() == count + 1)  # type: ignore[misc]


async def test_a_peer_that_answers_no_ping_is_called_frozen(
    practice_market: testing.PracticeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit_s in (("PING_INTERVAL_S", 0.1), ("PING_TIMEOUT_S", 1.0), ("CLOSE_TIMEOUT_S", 0.1)):
        monkeypatch.setattr(stream, name, limit_s)
    async with listening(practice_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        number = practice_market.fault("freeze")
        await eventually(lambda: ear.connection.losses)
        thawed = ear.heard(3)
        practice_market.clear(number=number)
        await eventually(thawed)
        assert ear.connection.losses["frozen"] >= 1


async def test_a_frame_of_ten_megabytes_costs_the_connection_and_no_memory(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        (stream,) = still_market.server.streams.connections
        stream.send(frame_of(b" " * 10_000_000))
        again = ear.heard(3)
        await eventually(again)
        assert ear.connection.losses == {"frame_too_large": 1}


async def test_a_host_that_no_name_server_knows_is_called_so(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    unnamed = copy(still_market)
    unnamed.proxy_url = "http://nowhere.invalid:3128"
    async with listening(unnamed, tmp_path) as ear:
        await eventually(lambda: ear.connection.losses)
        assert set(ear.connection.losses) == {"dns"}


async def test_frames_without_a_price_are_no_sign_of_life(still_market: testing.PracticeMarket, tmp_path: Path) -> None:
    async with listening(still_market, tmp_path, stall_timeout_s=5.0) as ear:
        await eventually(ear.heard(3))
        last_s = ear.connection.last_tick_s
        (stream,) = still_market.server.streams.connections
        foreign = still_market.server.streams._feed.garbage(("ticker",), [])
        stream.send(frame_of(b"hello") + foreign)
        await eventually(lambda: ear.ticks[-1].ticker == "ZVZZT")
        assert ear.connection.last_tick_s == last_s
        assert ear.connection.parser.skipped == {"not_json": 1}


@pytest.mark.parametrize("fault", ["close", "reset"])
async def test_data_come_again_after_each_loss(
    practice_market: testing.PracticeMarket, tmp_path: Path, fault: str
) -> None:
    async with listening(practice_market, tmp_path) as ear:
        for _ in range(2):
            await eventually(ear.heard(3))
            losses = ear.connection.losses.total()
            practice_market.fault(fault)
            await eventually(lambda losses=losses: ear.connection.losses.total() > losses)  # type: ignore[misc]
            await eventually(ear.heard())


async def test_a_server_that_was_away_is_found_after_its_return(
    practice_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(practice_market, tmp_path, speed=5.0) as ear:
        await eventually(ear.heard(3))
        practice_market.fault("refuse")
        practice_market.fault("reset")
        away_s = ear.now_s
        await eventually(lambda: ear.now_s - away_s > 5.0)
        practice_market.clear("refuse")
        await eventually(ear.heard())


async def test_frames_that_are_no_prices_are_counted_and_disturb_nothing(
    still_market: testing.PracticeMarket, tmp_path: Path
) -> None:
    async with listening(still_market, tmp_path) as ear:
        await eventually(ear.heard(3))
        (stream,) = still_market.server.streams.connections
        for text in (b"not json", b'{"type":"earnings"}', b'{"type":"pricing","message":"%%%"}', b"[]", b"null"):
            stream.send(b"\x81" + bytes([len(text)]) + text)
        await eventually(lambda: ear.connection.parser.skipped.total() == 5)
        assert ear.connection.parser.skipped == {"not_json": 1, "other_type": 3, "not_pricing_data": 1}
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
