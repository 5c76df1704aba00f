from __future__ import annotations

import asyncio

import pytest

from core.errors import FixByHand
from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.fleet import kinds
from simulator.ports.loopback import split_address
from simulator.practice import Practice
from simulator.testing import PracticeMarket
from simulator.trouble.script import Script
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import NOON, StillClock


async def reaches(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_who_knows_a_proxy_can_connect_at_once_unless_it_is_dead(still_market: PracticeMarket) -> None:
    members = still_market.server.fleet.add(kinds.from_text("good=1,dead=1,silent/socks5=1"))

    assert [await reaches(member.address) for member in members] == [True, False, True]


async def test_each_proxy_has_a_port_and_an_exit_of_its_own(still_market: PracticeMarket) -> None:
    members = still_market.add_proxies("good", 50)

    assert len({member.address for member in members}) == len({member.exit for member in members}) == 50
    assert still_market.add_proxies("good", exit="198.18.0.9")[0].exit == "198.18.0.9"


async def test_a_proxy_that_turns_while_its_port_is_being_opened_is_what_it_was_told_last(
    still_market: PracticeMarket,
) -> None:
    (member,) = still_market.add_proxies("good")
    still_market.turn(member.address, "dead")
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251  (the loop comes round)

    assert not await reaches(member.address)


async def test_a_proxy_dies_and_rises_on_its_port(still_market: PracticeMarket) -> None:
    (member,) = still_market.add_proxies("good")
    assert await reaches(member.address)
    found = []
    for kind in ("dead", "good", "auth", "dead", "dead", "good"):
        still_market.turn(member.address, kind)
        found.append(await reaches(member.address))

    assert found == [False, True, True, False, False, True]


async def test_more_proxies_than_the_most_are_refused(
    still_market: PracticeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.fleet.listener.MOST", 3)
    with pytest.raises(FixByHand, match="fleet: more than 3 proxies; make it smaller"):
        still_market.add_proxies("good", 4)


async def test_at_the_end_every_port_is_closed(still_market: PracticeMarket) -> None:
    members = still_market.add_proxies("good", 3)
    await still_market.server.fleet.stop()

    assert [await reaches(member.address) for member in members] == [False] * 3


async def test_a_proxy_on_the_ipv6_loopback_has_its_address_in_brackets() -> None:
    calendar = build_calendar(MarketSettings(calendar="always"), read=read_text)
    market = Market(listings.chosen(["AAPL"]), calendar=calendar, seed=1, now=NOON)
    practice = Practice(market, clock=StillClock())
    script = Script(fleet=kinds.from_text("good=1"))
    failures: list[BaseException] = []
    await practice.start(("::1", 0), ("::1", 0), script=script, on_failure=failures.append)
    try:
        (member,) = practice.server.fleet.members()
        assert member.address.startswith("[::1]:")
        assert split_address(member.address, key="fleet")[0] == "::1"
        assert failures == []
    finally:
        await practice.stop()
