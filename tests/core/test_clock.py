import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.clock import SystemClock, pause, utc_text
from core.tasks import spawn
from tests.fix_clock import NOON, FakeClock

CLOCK_STEP_S = 0.02
"""The coarsest that a system tells the time."""


def test_the_text_of_a_time_has_milliseconds_and_a_z() -> None:
    assert utc_text(datetime(2026, 11, 23, 14, 30, tzinfo=UTC)) == "2026-11-23T14:30:00.000Z"


def test_microseconds_are_cut_never_rounded_into_the_next_second() -> None:
    assert utc_text(datetime(2026, 11, 23, 23, 59, 59, 999_999, tzinfo=UTC)) == "2026-11-23T23:59:59.999Z"


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    eastern = timezone(timedelta(hours=-5))
    assert utc_text(datetime(2026, 11, 23, 9, 30, 0, 42_000, tzinfo=eastern)) == "2026-11-23T14:30:00.042Z"


def test_the_system_clock_is_aware_and_its_monotonic_seconds_grow() -> None:
    clock = SystemClock()
    first_s = clock.monotonic_s()
    pause(0.001)
    assert clock.utc_now().tzinfo is UTC
    assert clock.monotonic_s() > first_s


@pytest.mark.parametrize("duration_s", [0.0, -5.0, 0.001])
async def test_the_system_clock_sleeps_and_a_past_deadline_only_yields(duration_s: float) -> None:
    clock, others = SystemClock(), list[str]()
    asyncio.get_running_loop().call_soon(others.append, "ran")
    began_s = clock.monotonic_s()
    await clock.sleep(duration_s)
    assert others == ["ran"]
    assert clock.monotonic_s() - began_s >= max(0.0, duration_s) - CLOCK_STEP_S


def test_a_pause_is_as_long_as_told_and_one_that_is_over_none() -> None:
    clock = SystemClock()
    began_s = clock.monotonic_s()
    pause(-5.0)
    pause(0.01)
    assert clock.monotonic_s() - began_s >= 0.01 - CLOCK_STEP_S


async def test_sleepers_of_the_fake_clock_wake_in_order_each_at_its_own_time() -> None:
    clock = FakeClock()
    woken: list[tuple[str, datetime]] = []
    errors: list[BaseException] = []

    async def sleeper(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append((name, clock.utc_now()))
        await clock.sleep(duration_s)
        woken.append((name, clock.utc_now()))

    tasks = [spawn(sleeper(name, wait_s), name=name, on_error=errors.append) for name, wait_s in (("a", 40), ("b", 30))]
    await clock.advance(65)
    expected = [("b", 30), ("a", 40), ("b", 60)]
    assert woken == [(name, NOON + timedelta(seconds=at_s)) for name, at_s in expected]
    assert clock.utc_now() == NOON + timedelta(seconds=65)
    await clock.advance(15)
    assert all(task.done() for task in tasks)
    assert errors == []


async def test_a_jump_of_the_wall_clock_leaves_the_monotonic_one() -> None:
    clock = FakeClock()
    clock.jump(timedelta(hours=1))
    assert clock.monotonic_s() == 1000.0
    assert clock.utc_now() == NOON + timedelta(hours=1)
