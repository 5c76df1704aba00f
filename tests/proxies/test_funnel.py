from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import RetryLater
from proxies.funnel import Funnel, Result
from proxies.model import Address
from proxies.probe import Probe, Probed
from proxies.tools import Tools
from simulator.testing import PracticeMarket
from tests.fix_proxies import LOOPBACK, added, tools_of
from tests.fix_storage import StillClock

CLOCK = StillClock()


def small(tools: Tools) -> Funnel:
    return Funnel(Probe(refusal=LOOPBACK.refusal), tools.checker, CLOCK, probes=4, checks=2)


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


class Stood:
    """A probe in whose time this host stood still, the first time."""

    def __init__(self, clock: StillClock, stall_s: float) -> None:
        self._clock, self._stall_s, self.asked = clock, stall_s, 0

    async def ask(self, address: Address, *, any_protocol: bool) -> Probed:
        self.asked += 1
        if self.asked > 1:
            return Probed("refused", address.protocol)
        self._clock.at += timedelta(seconds=self._stall_s)
        return Probed("timeout", address.protocol)


@pytest.mark.parametrize(("stall_s", "cause"), [(0.2, "timeout"), (3.0, "refused")])
async def test_what_ran_out_of_time_while_this_host_stood_still_is_tried_once_more(
    practice_market: PracticeMarket, tmp_path: Path, stall_s: float, cause: str
) -> None:
    clock, found = StillClock(), []

    async def tell(result: Result) -> None:
        found.append(result.outcome.cause)

    async with tools_of(practice_market, tmp_path) as tools:
        probe: Any = Stood(clock, stall_s)
        await Funnel(probe, tools.checker, clock, probes=1, checks=1).run(
            [Address("http", "192.0.2.9", 80)], tell, asyncio.Event()
        )
    assert found == [cause]
