from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.notify import Notifier
from core.settings import Network, Settings, State
from scanners.context import Context
from scanners.probe.budget import MOST_CONNECTIONS, MOST_REQUESTS, Allowance, UsedUp
from tests.fix_clock import FakeClock


@pytest.fixture
def context(tmp_path: Path, fake_clock: FakeClock) -> Context:
    network = Network(start_requests_per_s=0.25, max_requests_per_s=0.25)
    settings = Settings(state=State(dir=str(tmp_path)), network=network)
    return Context.build("probe", settings, asyncio.Event(), Notifier(None), clock=fake_clock, once=True)


async def test_each_request_waits_for_a_slot_of_the_shared_rate(context: Context, fake_clock: FakeClock) -> None:
    allowance = Allowance(context, time_limit_s=100.0)
    await allowance.request()
    context.budget.reserve(now_s=fake_clock.monotonic_s())  # another process
    asking = asyncio.ensure_future(allowance.request())
    await fake_clock.advance(7.9)
    assert (asking.done(), allowance.requests) == (False, 1)
    await fake_clock.advance(0.2)
    assert (asking.done(), allowance.requests) == (True, 2)


async def test_a_request_that_would_come_too_late_is_not_waited_for(context: Context, fake_clock: FakeClock) -> None:
    allowance = Allowance(context, time_limit_s=20.0)
    context.budget.refuse(now_s=fake_clock.monotonic_s())
    with pytest.raises(UsedUp, match="broken off after 0 requests and 0 s"):
        await allowance.request()


async def test_requests_and_connections_are_bounded(context: Context, fake_clock: FakeClock) -> None:
    allowance = Allowance(context, time_limit_s=1000.0)
    for _ in range(MOST_REQUESTS):
        asking = asyncio.ensure_future(allowance.request())
        await fake_clock.advance(4.0)
        await asking
    with pytest.raises(UsedUp):
        await allowance.request()
    for _ in range(MOST_CONNECTIONS):
        allowance.connect()
    with pytest.raises(UsedUp):
        allowance.connect()


async def test_no_connection_is_opened_after_the_time_limit(context: Context, fake_clock: FakeClock) -> None:
    allowance = Allowance(context, time_limit_s=10.0)
    await fake_clock.advance(10.0)
    with pytest.raises(UsedUp, match="after 0 connections and 10 s"):
        allowance.connect()
