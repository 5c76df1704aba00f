from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.errors import RetryLater, Unreachable
from scanners.context import Context
from scanners.daily.asker import ATTEMPTS, Asker
from scanners.lane import DirectLane, Stopped
from tests.fix_clock import FakeClock
from tests.fix_daily import a_night, after_close
from tests.fix_scanners import Stage, eventually
from yahoo.quote import BadAnswer, Refused
from yahoo.session import CrumbRefused, RateLimited

AWAY = Unreachable("away", where="there")
BAD = BadAnswer("no good", where="there")


def asker_of(context: Context) -> Asker:
    return Asker(context, None)  # type: ignore[arg-type]  # its own requests are not made here


def failing(*errors: RetryLater) -> Callable[[], Awaitable[int]]:
    """Return a question that fails with each of these in turn, and is then answered with how often it was asked."""
    left = list(errors)

    async def ask() -> int:
        if left:
            raise left.pop(0)
        return len(errors) + 1

    return ask


async def passing(fake_clock: FakeClock, *asking: Awaitable[Any]) -> list[Any]:
    """Let time pass until all are answered; raise what one of them raises."""
    found = asyncio.gather(*asking)
    while not found.done():
        await fake_clock.advance(1.0)
    return await found


@pytest.fixture
def surroundings(still_stage: Stage, fake_clock: FakeClock) -> Context:
    return still_stage.context("daily", clock=fake_clock)


async def test_a_mishap_is_asked_again_and_the_rate_goes_down(surroundings: Context, fake_clock: FakeClock) -> None:
    asker = asker_of(surroundings)
    before = surroundings.budget.lane().rate_per_s
    assert await passing(fake_clock, asker.patiently(failing(BAD, AWAY, BAD))) == [4]
    assert surroundings.budget.lane().rate_per_s < before
    assert asker.failures == {"BadAnswer": 2, "Unreachable": 1}


async def test_the_last_question_is_not_asked_for_ever(surroundings: Context, fake_clock: FakeClock) -> None:
    """Yahoo breaks the connection whenever this one is asked, and no other is left to tell."""
    with pytest.raises(BadAnswer, match="away"):
        await passing(fake_clock, asker_of(surroundings).patiently(failing(*[AWAY] * 50)))


async def test_refusals_are_waited_out_however_many(surroundings: Context, fake_clock: FakeClock) -> None:
    limited = [RateLimited("429", where="there")] * 20
    assert await passing(fake_clock, asker_of(surroundings).patiently(failing(*limited))) == [21]


@pytest.mark.parametrize("error", [BAD, AWAY, CrumbRefused("401", where="there")])
async def test_a_question_that_stays_bad_is_left_while_others_are_answered(
    surroundings: Context, fake_clock: FakeClock, error: RetryLater
) -> None:
    asker = asker_of(surroundings)

    async def others() -> None:
        while True:
            await asker.patiently(failing())
            await fake_clock.sleep(0.5)

    beside = asyncio.ensure_future(others())
    with pytest.raises(BadAnswer):
        await passing(fake_clock, asker.patiently(failing(*[error] * 50)))
    beside.cancel()
    assert asker.failures.total() <= ATTEMPTS + 1, "the first may have been of all: no other was answered yet"


async def test_what_yahoo_says_of_a_ticker_is_an_answer(surroundings: Context, fake_clock: FakeClock) -> None:
    asker = asker_of(surroundings)
    with pytest.raises(Refused, match="not_found"):
        await asker.patiently(failing(Refused("not_found", where="there")))
    assert asker.failures == {}
    assert await passing(fake_clock, asker.patiently(failing(Refused("foreign", where="there")))) == [2]


async def test_when_all_answers_are_bad_nobody_is_blamed_and_there_is_silence(
    surroundings: Context, fake_clock: FakeClock
) -> None:
    """A captive portal for two minutes: each of thirty questions is answered in the end."""
    asker = asker_of(surroundings)
    began_s = fake_clock.monotonic_s()
    silences = []

    async def ask() -> bool:
        silences.append(surroundings.budget.quiet_for_s(fake_clock.monotonic_s()))
        if fake_clock.monotonic_s() < began_s + 120.0:
            raise BAD
        return True

    found = await passing(fake_clock, *(asker.patiently(ask) for _ in range(30)))
    assert all(found)
    assert max(silences) > 0


async def test_an_upstream_that_is_away_is_waited_for_when_supervised(
    surroundings: Context, fake_clock: FakeClock
) -> None:
    asker = asker_of(surroundings)
    began_s = fake_clock.monotonic_s()

    async def ask() -> bool:
        if fake_clock.monotonic_s() < began_s + 600.0:
            raise AWAY
        return True

    assert all(await passing(fake_clock, asker.patiently(ask), asker.patiently(ask)))


async def test_by_hand_an_upstream_that_stays_away_is_an_error(still_stage: Stage, fake_clock: FakeClock) -> None:
    asker = asker_of(still_stage.context("daily", clock=fake_clock, once=True))

    async def ask() -> bool:
        raise AWAY

    asking = [asyncio.ensure_future(asker.patiently(ask)) for _ in range(2)]
    await passing(fake_clock, asyncio.wait(asking))
    assert all(isinstance(each.exception(), Unreachable) for each in asking)


async def test_who_is_asked_to_stop_waits_no_longer(still_stage: Stage) -> None:
    context = after_close(still_stage)
    asking = asyncio.ensure_future(asker_of(context).patiently(failing(*[AWAY] * 50)))
    await eventually(lambda: not asking.done())
    context.stop.set()
    with pytest.raises(Stopped):
        await asyncio.wait_for(asking, 5)


async def test_requests_go_through_the_lane(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        assert isinstance(night.lane, DirectLane)
        answer = await night.asker.get("https://query1.finance.yahoo.com/v8/finance/chart/AAPL", with_crumb=False)
        assert (answer.status, night.lane.requests) == (200, 1)
