from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator import testing
from simulator.testing import PracticeMarket, PracticeProcess
from tests.fix_simulator import StillClock, YahooClient


async def test_the_fixture_gives_the_market_s_true_values(still_market: PracticeMarket) -> None:
    client = YahooClient(still_market.proxy_url, still_market.ca_file)
    await asyncio.to_thread(client.log_in)
    reply = await asyncio.to_thread(client.quote, ["F"])

    assert reply.json()["quoteResponse"]["result"][0]["regularMarketPrice"] == still_market.market.stocks["F"].price


async def test_a_walk_that_fails_fails_the_test(tmp_path: Path) -> None:
    class Broken(StillClock):
        async def sleep(self, duration_s: float) -> None:
            if duration_s > 0:
                raise ArithmeticError("no such second")
            await super().sleep(duration_s)

    with pytest.raises(ArithmeticError, match="no such second"):
        async with testing.running(tmp_path, clock=Broken(datetime(2026, 11, 23, tzinfo=UTC))):
            await asyncio.wait_for(asyncio.to_thread(str), 60)


def test_the_process_serves_every_listing(practice_process: PracticeProcess) -> None:
    client = YahooClient(practice_process.proxy_url, practice_process.ca_file)
    client.log_in()

    answers = client.quote(["A", "ZTS", "NAN"]).json()["quoteResponse"]["result"]
    assert [answer["symbol"] for answer in answers] == ["A", "ZTS", "NAN"]


def test_a_process_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 78"), testing.process(tmp_path, "--listen", "0.0.0.0:0"):
        pass


async def test_a_test_that_asks_for_another_host_fails_though_it_caught_the_refusal(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"asked for hosts that are not served: example\.com"):
        async with testing.running(tmp_path) as market:
            client = YahooClient(market.proxy_url, market.ca_file)
            with pytest.raises(OSError, match="403"):
                await asyncio.to_thread(client.request, "example.com", "/")


async def test_a_fault_of_the_market_itself_fails_the_test(tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError, match="of its own"):
        async with testing.running(tmp_path) as market:
            market.server._gate.errors.append(ArithmeticError("of its own"))


async def test_a_fleet_is_there_from_the_start(tmp_path: Path) -> None:
    async with testing.running(tmp_path, fleet="good=1,dead/socks5=2") as market:
        assert [(member.kind, member.protocol) for member in market.proxies()] == [
            ("good", "http"),
            ("dead", "socks5"),
            ("dead", "socks5"),
        ]
