from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from core.errors import Unreachable
from core.tasks import cancel_all
from net.client import HttpClient
from scanners.context import Context
from scanners.lane import DirectLane, Stopped
from tests.fix_clock import FakeClock
from tests.fix_scanners import ShiftedClock, Stage, eventually
from yahoo.session import BatchRefused, CrumbRefused, RateLimited

QUOTE = "/v7/finance/quote"
CRUMB = "/v1/test/getcrumb"
AT_ONCE = {"start_requests_per_s": 1e6, "max_requests_per_s": 1e6}
"""Requests are then under way together."""


@asynccontextmanager
async def lane_of(context: Context, **more: Any) -> AsyncIterator[DirectLane]:
    async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
        yield DirectLane(context, http, **more)


async def test_the_first_request_mints_and_the_next_uses_the_same_crumb(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        answer = await lane.quotes(["AAPL", "MSFT"])
        assert [quote.ticker for quote in answer.quotes] == ["AAPL", "MSFT"]
        assert lane.requests == 3
        await lane.quotes(["QQQ"])
        assert lane.requests == 4
    assert context.pulse.facts["upstream"] == "reachable"


async def test_many_at_once_mint_once(still_stage: Stage) -> None:
    async with lane_of(still_stage.context("metrics")) as lane:
        await asyncio.gather(*(lane.quotes([ticker]) for ticker in still_stage.tickers))
        assert lane.requests == 2 + len(still_stage.tickers)


async def test_a_good_answer_raises_the_rate_and_a_429_halves_it_and_cools_down(still_stage: Stage) -> None:
    network = {"start_requests_per_s": 100.0, "max_requests_per_s": 1000.0}
    context = still_stage.context("metrics", network=network)
    async with lane_of(context) as lane:
        await lane.quotes(["AAPL"])
        assert context.budget.lane().rate_per_s == pytest.approx(100.02)
        still_stage.market.server.answer_status(QUOTE, 429)
        before_s = context.clock.monotonic_s()
        with pytest.raises(RateLimited):
            await lane.quotes(["AAPL"])
    assert context.pulse.facts["upstream"] == "refusing"
    state = context.budget.lane()
    assert state.rate_per_s == pytest.approx(50.01)
    assert state.next_free_s >= before_s + 30.0


async def test_requests_refused_together_slow_the_lane_down_once(still_stage: Stage) -> None:
    """Eight in flight, each halving, would leave 1/256 of the rate: 0.02 requests a second."""
    context = still_stage.context("metrics", network=AT_ONCE)
    async with lane_of(context) as lane:
        await lane.quotes(["AAPL"])
        still_stage.market.server.answer_status(QUOTE, 429, times=8)
        asking = [asyncio.ensure_future(lane.quotes(["AAPL"])) for _ in range(8)]
        await eventually(lambda: context.budget.lane().rate_per_s < 1e6)
        done, resting = await asyncio.wait(asking, timeout=0.3)
        assert all(isinstance(task.exception(), RateLimited) for task in done)
        await cancel_all([*resting])
    assert context.budget.lane().rate_per_s == pytest.approx(5e5)


async def test_a_slot_given_before_a_refusal_is_not_used_in_the_rest_after_it(still_stage: Stage) -> None:
    context = still_stage.context("metrics", network={"max_requests_per_s": 5.0, "start_requests_per_s": 5.0})
    async with lane_of(context) as lane:
        await lane.quotes(["AAPL"])
        still_stage.market.server.answer_status(QUOTE, 429)
        asking = [asyncio.ensure_future(lane.quotes(["AAPL"])) for _ in range(8)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        sent = lane.requests
        done, resting = await asyncio.wait(asking, timeout=0.5)
        await cancel_all([*resting])
        assert lane.requests == sent
    assert len([task for task in done if task.exception()]) == 1


async def test_a_slot_given_before_a_refusal_of_another_process_is_not_used_either(still_stage: Stage) -> None:
    network = {"start_requests_per_s": 2.0, "max_requests_per_s": 2.0}
    clock = FakeClock()
    one, other = (still_stage.context(name, clock=clock, network=network) for name in ("metrics", "daily"))
    async with lane_of(one) as lane:
        other.budget.reserve(now_s=1000.0)
        asking = asyncio.ensure_future(lane._slot())
        await clock.advance(0.25)
        other.budget.refuse(now_s=1000.25)
        await clock.advance(29.5)
        assert not asking.done()
        await clock.advance(1.0)
        assert asking.done()
        await asking


@pytest.mark.parametrize("rate_per_s", [20.0, 1e6])
async def test_a_crumb_that_wears_out_under_many_requests_costs_no_rate(still_stage: Stage, rate_per_s: float) -> None:
    context = still_stage.context(
        "metrics", network={"start_requests_per_s": rate_per_s, "max_requests_per_s": rate_per_s}
    )
    async with lane_of(context) as lane:
        await lane.quotes(["AAPL"])
        still_stage.market.server._rest._identities._secret = (
            b"another"  # as after a restart: no cookie of before is known
        )

        async def asked() -> int:
            while True:
                with suppress(RateLimited):
                    return len((await lane.quotes(["AAPL"])).quotes)

        assert await asyncio.gather(*(asked() for _ in range(8))) == [1] * 8
    assert context.budget.lane().rate_per_s == rate_per_s


async def test_a_crumb_that_wore_out_is_minted_anew_without_a_rest(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        await lane.quotes(["AAPL"])
        still_stage.market.server.answer_status(QUOTE, 401)
        with pytest.raises(RateLimited):
            await lane.quotes(["AAPL"])
        answer = await lane.quotes(["AAPL"])
        assert len(answer.quotes) == 1
        assert lane.requests == 3 + 1 + 3
    assert context.budget.lane().rate_per_s == 1000.0


async def test_a_fresh_crumb_refused_as_well_rests_the_lane(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        still_stage.market.server.answer_status(QUOTE, 401, times=2)
        for _ in range(2):
            with pytest.raises(RateLimited):
                await lane.quotes(["AAPL"])
    assert context.budget.lane().rate_per_s == pytest.approx(500.0)


async def test_a_crumb_refused_at_its_making_rests_the_lane(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        still_stage.market.server.answer_status(CRUMB, 200, b"Too Many Requests")
        with pytest.raises(RateLimited):
            await lane.quotes(["AAPL"])
    assert context.budget.lane().rate_per_s == pytest.approx(500.0)


async def test_a_list_refused_for_its_length_costs_no_rate(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        still_stage.market.server.answer_status(QUOTE, 400)
        with pytest.raises(BatchRefused):
            await lane.quotes(["AAPL", "MSFT"])
    assert context.budget.lane().rate_per_s == 1000.0


async def test_an_upstream_that_is_away_is_said_in_the_pulse(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    async with lane_of(context) as lane:
        still_stage.market.faults.refuse_connections = True
        with pytest.raises(Unreachable):
            await lane.quotes(["AAPL"])
        assert context.pulse.facts["upstream"] == "unreachable"
        still_stage.market.faults.refuse_connections = False
        await lane.quotes(["AAPL"])
        assert context.pulse.facts["upstream"] == "reachable"


async def test_requests_keep_to_the_shared_rate(still_stage: Stage) -> None:
    """At 10 a second, mint and two quotes take 0.3 s of the lane's clock; two processes share it."""
    network = {"start_requests_per_s": 10.0, "max_requests_per_s": 10.0}
    clock = ShiftedClock(speed=10.0)
    one, other = (still_stage.context(name, clock=clock, network=network) for name in ("metrics", "daily"))
    started_s = clock.monotonic_s()
    async with lane_of(one) as first, lane_of(other) as second:
        await asyncio.gather(first.quotes(["AAPL"]), second.quotes(["MSFT"]))
    assert clock.monotonic_s() - started_s >= 0.5


async def test_a_stop_ends_the_wait_for_a_slot(still_stage: Stage) -> None:
    context = still_stage.context("metrics", network={"start_requests_per_s": 0.02})
    async with lane_of(context) as lane:
        asking = asyncio.ensure_future(lane.quotes(["AAPL"]))
        context.stop.set()
        with pytest.raises(Stopped):
            await asyncio.wait_for(asking, 60)


async def test_a_patient_lane_asks_only_when_nobody_else_does_and_costs_the_others_nothing(still_stage: Stage) -> None:
    """The other one asks without a pause at 4 a second; the patient one gets its first slot when that is over."""
    network = {"start_requests_per_s": 4.0, "max_requests_per_s": 4.0}
    clock = FakeClock()
    metrics, prices = (still_stage.context(name, clock=clock, network=network) for name in ("metrics", "prices"))
    async with lane_of(metrics) as eager, lane_of(prices, patient=lambda: True) as patient:
        served_s: list[float] = []
        await eager._slot()  # the first is free at once

        async def asks() -> None:
            for _ in range(20):
                await eager._slot()
                served_s.append(clock.monotonic_s())

        asking, waiting = asyncio.ensure_future(asks()), asyncio.ensure_future(patient._slot())
        await clock.advance(5.2)
        assert asking.done()
        assert [round(later - earlier, 6) for earlier, later in pairwise(served_s)] == [0.25] * 19
        assert not waiting.done()
        await clock.advance(1.0)
        assert waiting.done()
        await asyncio.gather(asking, waiting)


async def test_a_patient_lane_takes_at_most_every_second_slot(still_stage: Stage) -> None:
    clock = FakeClock()
    network = {"start_requests_per_s": 4.0, "max_requests_per_s": 4.0}
    async with lane_of(still_stage.context("prices", clock=clock, network=network), patient=lambda: True) as lane:
        served = 0

        async def asks() -> None:
            nonlocal served
            while True:
                await lane._slot()
                served += 1

        asking = asyncio.ensure_future(asks())
        await clock.advance(10.0)
        assert 18 <= served <= 21
        await cancel_all([asking])


async def test_a_lane_whose_patience_ends_asks_like_the_others(still_stage: Stage) -> None:
    clock, patient = FakeClock(), [True]
    network = {"start_requests_per_s": 0.5, "max_requests_per_s": 0.5}
    context = still_stage.context("prices", clock=clock, network=network)
    async with lane_of(context, patient=lambda: patient[0]) as lane:
        for _ in range(20):
            context.budget.reserve(now_s=clock.monotonic_s())
        waiting = asyncio.ensure_future(lane._slot())
        await clock.advance(40.0)
        assert not waiting.done()
        for _ in range(20):
            context.budget.reserve(now_s=clock.monotonic_s())
        patient[0] = False
        await clock.advance(41.0)
        assert waiting.done()
        await waiting


async def test_a_stop_ends_the_patience(still_stage: Stage) -> None:
    context = still_stage.context("prices", network={"start_requests_per_s": 0.02})
    context.budget.reserve(now_s=context.clock.monotonic_s())
    async with lane_of(context, patient=lambda: True) as lane:
        asking = asyncio.ensure_future(lane.quotes(["AAPL"]))
        context.stop.set()
        with pytest.raises(Stopped):
            await asyncio.wait_for(asking, 60)


async def test_other_endpoints_take_a_slot_each_and_a_crumb_only_where_they_need_one(still_stage: Stage) -> None:
    context = still_stage.context("daily")
    async with lane_of(context) as lane:
        chart = await lane.get("https://query1.finance.yahoo.com/v8/finance/chart/AAPL", with_crumb=False)
        assert (chart.status, lane.requests) == (200, 1)
        summary = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/AAPL"
        answer = await lane.get(summary, {"modules": "price"}, with_crumb=True)
        assert (answer.status, lane.requests) == (200, 4)
        screener = "https://query1.finance.yahoo.com/v1/finance/screener"
        found = await lane.post(screener, {}, b"{}")
        assert (found.status in (200, 400), lane.requests) == (True, 5)
    assert [each.method for each in still_stage.market.requests(path="/v1/finance/screener")] == ["POST"]
    assert context.budget.lane().rate_per_s == 1000.0


async def test_a_refused_crumb_of_another_endpoint_is_worn_out_once_and_then_a_refusal(still_stage: Stage) -> None:
    still_stage.market.fault("unauthorized", path="/v10/*")
    context = still_stage.context("daily")
    url = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/AAPL"
    async with lane_of(context) as lane:
        for quiet in (False, True):
            with pytest.raises(CrumbRefused):
                await lane.get(url, {"modules": "price"}, with_crumb=True)
            assert (context.budget.quiet_for_s(context.clock.monotonic_s()) > 0) is quiet
