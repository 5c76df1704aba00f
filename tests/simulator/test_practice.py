from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.errors import FixByHand, RetryLater
from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.fleet import kinds
from simulator.practice import Practice
from simulator.trouble.catalogue import from_text
from simulator.trouble.script import Happening, Script
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_clock import FakeClock
from tests.fix_simulator import NOON

ANY = ("127.0.0.1", 0)


@asynccontextmanager
async def followed(script: Script, clock: FakeClock) -> AsyncIterator[Practice]:
    """A market that follows `script` by a clock of ours."""
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.chosen(["AAPL", "F"]), calendar=calendar, seed=1, now=NOON)
    practice = Practice(market, clock=clock)
    failures: list[BaseException] = []
    await practice.start(ANY, ANY, script=script, on_failure=failures.append)
    try:
        yield practice
    finally:
        await practice.stop()
    assert failures == []


def names(practice: Practice) -> list[str]:
    return [fault.kind.name for fault in practice.server.faults.active]


async def test_faults_begin_and_end_at_their_seconds() -> None:
    clock = FakeClock(NOON)
    script = Script(faults=[from_text("mute=30s@10s"), from_text("html")])
    async with followed(script, clock) as practice:
        assert names(practice) == ["html"]
        await clock.advance(10)
        assert names(practice) == ["html", "mute"]
        await clock.advance(29)
        assert names(practice) == ["html", "mute"]
        await clock.advance(1)
        assert names(practice) == ["html"]


async def test_a_fault_that_was_cleared_by_hand_does_not_end_another_of_its_name() -> None:
    clock = FakeClock(NOON)
    async with followed(Script(faults=[from_text("mute=30s")]), clock) as practice:
        practice.control.obey({"do": "clear", "name": "mute"})
        practice.control.obey({"do": "fault", "name": "mute"})
        await clock.advance(31)
        assert names(practice) == ["mute"]


async def test_a_fault_that_is_cleared_before_its_time_never_comes() -> None:
    clock = FakeClock(NOON)
    async with followed(Script(faults=[from_text("mute@10s"), from_text("html@10s")]), clock) as practice:
        assert practice.control.obey({"do": "clear", "name": "mute"}) == 1
        await clock.advance(11)
        assert names(practice) == ["html"]


async def test_events_happen_in_their_turn_and_a_failed_one_ends_nothing() -> None:
    clock = FakeClock(NOON)
    events = [
        Happening(at_s=5, event="halt", ticker="NOBODY", details={}),
        Happening(at_s=6, event="delist", ticker="F", details={}),
    ]
    async with followed(Script(events=events), clock) as practice:
        await clock.advance(5)
        assert "F" in practice.server.market.stocks
        await clock.advance(1)
        assert "F" not in practice.server.market.stocks


async def test_a_step_that_can_never_happen_is_refused_before_anything_listens() -> None:
    split = Happening(at_s=5, event="split", ticker="F", details={"new": 2})
    with pytest.raises(FixByHand, match="split: the details are new; give new, old"):
        async with followed(Script(events=[split]), FakeClock(NOON)):
            pass


async def test_the_fleet_of_the_script_is_open() -> None:
    async with followed(Script(fleet=kinds.from_text("good=2,dead=1")), FakeClock(NOON)) as practice:
        assert [member.kind for member in practice.server.fleet.members()] == ["good", "good", "dead"]


async def test_a_control_port_in_use_is_told_and_leaves_nothing_open() -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.chosen(["AAPL"]), calendar=calendar, seed=1, now=NOON)
    practice = Practice(market, clock=FakeClock(NOON))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_at = ("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(RetryLater, match=r"--control: port .* is in use"):
            await practice.start(ANY, taken_at, script=Script(), on_failure=_raise)
    address = practice.server.proxy_url.removeprefix("http://").split(":")
    await practice.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address[0], int(address[1]))


def _raise(error: BaseException) -> None:
    raise error
