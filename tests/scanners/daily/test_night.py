from __future__ import annotations

from datetime import timedelta

import pytest

from scanners.daily.night import Superseded, each
from scanners.lane import Stopped
from tests.fix_daily import AFTER_CLOSE, a_night, after_close
from tests.fix_scanners import ShiftedClock, Stage


async def test_as_many_work_at_once_as_the_settings_allow_in_the_given_order(still_stage: Stage) -> None:
    async with a_night(still_stage, after_close(still_stage, daily={"threads": 2})) as night:
        begun: list[str] = []
        at_work = most = 0

        async def work(ticker: str) -> None:
            nonlocal at_work, most
            begun.append(ticker)
            at_work += 1
            most = max(most, at_work)
            await night.context.clock.sleep(0.01)
            at_work -= 1

        await each(night, "ABCDE", work, stage="charts")
        assert (begun, most) == (list("ABCDE"), 2)
        assert night.context.pulse.progress is not None
        assert (night.context.pulse.progress.stage, night.context.pulse.progress.done) == ("charts", 5)


async def test_the_eta_is_of_the_whole_night(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        night.to_come = 500
        night.advance("fundamentals", done=1, total=101)
        assert night.context.pulse.progress is not None
        assert night.context.pulse.progress.eta_s == 60.0, "600 requests at ten a second"


async def test_a_night_ends_when_the_next_session_is_due_or_it_is_asked_to_stop(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        night.check()
        night.context.stop.set()
        with pytest.raises(Stopped):
            night.check()
    tuesday = still_stage.context("daily", clock=ShiftedClock(AFTER_CLOSE + timedelta(days=1)))
    async with a_night(still_stage, tuesday) as night:
        with pytest.raises(Superseded, match="2026-11-24 is due"):
            await each(night, "A", lambda _ticker: night.context.clock.sleep(0), stage="charts")


async def test_what_went_wrong_tells_more_than_that_others_were_stopped(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:

        async def work(ticker: str) -> None:
            if ticker == "B":
                raise ValueError("a bug")
            raise Stopped("asked to stop")

        with pytest.raises((ValueError, Stopped)):
            await each(night, "AB", work, stage="charts")


async def test_refusals_are_written_once_with_an_example(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        night.refuse("chart", "order", "AAPL", number=2)
        night.refuse("chart", "order", "MSFT")
        night.tell_refusals("chart")
        night.tell_refusals("chart")
    assert still_stage.rows("SELECT endpoint, rule, refused, example FROM quality_refusal") == [
        {"endpoint": "chart", "rule": "order", "refused": 3, "example": "AAPL"}
    ]


async def test_outcomes_are_counted_and_those_that_are_none_named(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        for outcome, ticker in (("done", "A"), ("not_found", "B"), ("not_found", "C")):
            night.count("fundamentals", outcome, ticker)
        assert night.outcomes["fundamentals", "not_found"] == 2
        assert night.named == {"fundamentals.not_found": ["B", "C"]}
