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
            await asyncio.wait_for(asyncio.to_thread(str), 5)


def test_the_process_serves_every_listing(practice_process: PracticeProcess) -> None:
    client = YahooClient(practice_process.proxy_url, practice_process.ca_file)
    client.log_in()

    answers = client.quote(["A", "ZTS", "NAN"]).json()["quoteResponse"]["result"]
    assert [answer["symbol"] for answer in answers] == ["A", "ZTS", "NAN"]


def test_a_process_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 78"), testing.process(tmp_path, "--listen", "0.0.0.0:0"):
        pass
