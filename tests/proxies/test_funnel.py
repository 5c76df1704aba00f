from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import RetryLater
from proxies.funnel import Funnel, Result
from proxies.model import Address
from proxies.probe import Probe
from proxies.tools import Tools
from simulator.testing import PracticeMarket
from tests.fix_proxies import LOOPBACK, added, tools_of
from tests.fix_storage import StillClock

CLOCK = StillClock()


def small(tools: Tools) -> Funnel:
    return Funnel(Probe(CLOCK, refusal=LOOPBACK.refusal), tools.checker, CLOCK, probes=4, checks=2)


async def test_each_candidate_comes_out_once_and_the_good_ones_alone_are_asked_for_a_price(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    kinds = ["good"] * 6 + ["dead"] * 5 + ["web_server"] * 5 + ["own_certificate"]
    fleet = {added(practice_market, kind): kind for kind in kinds}
    socks = added(practice_market, "good", "socks5")
    fleet[mislabelled := Address("http", socks.ip, socks.port)] = "good"
    found: list[Result] = []

    async def tell(result: Result) -> None:
        found.append(result)

    async with tools_of(practice_market, tmp_path) as tools:
        await small(tools).run(fleet, tell, asyncio.Event())
    assert sorted(each.listed_as for each in found) == sorted(fleet)
    good = {each.listed_as for each in found if each.outcome.cause == "ok"}
    assert good == {address for address, kind in fleet.items() if kind == "good"}
    assert next(each.outcome.address for each in found if each.listed_as == mislabelled) == socks
    charts = [
        asked for asked in practice_market.requests() if asked.path.startswith("/v8/") and asked.exit != "192.0.2.1"
    ]
    assert len(charts) == 7


async def test_a_stop_is_obeyed_between_two_candidates(practice_market: PracticeMarket, tmp_path: Path) -> None:
    fleet = [added(practice_market, "dead") for _ in range(20)]
    stop = asyncio.Event()
    found = []

    async def tell(result: Result) -> None:
        found.append(result)
        stop.set()

    async with tools_of(practice_market, tmp_path) as tools:
        await small(tools).run(fleet, tell, stop)
    assert 1 <= len(found) < 20


async def test_what_the_table_says_ends_the_run(practice_market: PracticeMarket, tmp_path: Path) -> None:
    fleet = [added(practice_market, "good") for _ in range(6)]

    async def tell(_result: Result) -> None:
        raise RetryLater("the disk is full")

    async with tools_of(practice_market, tmp_path) as tools:
        with pytest.raises(RetryLater, match="the disk is full"):
            await small(tools).run(fleet, tell, asyncio.Event())
