from __future__ import annotations

from datetime import date

from structlog.testing import capture_logs

from scanners.daily.plan import Left
from scanners.daily.record import Record
from storage.runs import finish_run, start_run
from tests.fix_daily import AFTER_CLOSE, a_night, after_close
from tests.fix_scanners import Stage

NOTHING = Left((), (), ())


async def test_days_that_nobody_refreshed_are_named(still_stage: Stage) -> None:
    with still_stage.writer() as writer:
        run_id = start_run(writer, scanner="daily", session_date=date(2026, 11, 18), expected=8, at=AFTER_CLOSE)
        finish_run(writer, run_id, status="complete", updated=8, failed=0, skipped=0, detail={}, at=AFTER_CLOSE)
    async with a_night(still_stage) as night:
        with capture_logs() as logged:
            record = Record.begin(night, expected=8)
        record.end(NOTHING)
    named = ["2026-11-19", "2026-11-20"]
    assert [line["sessions"] for line in logged if line["event"] == "daily_sessions_missed"] == [named]
    assert still_stage.runs("daily")[-1]["detail"]["missed"] == named


async def test_how_long_it_will_take_is_said_before(still_stage: Stage) -> None:
    """By the rate that the settings allow, or nearly the one that was refused last."""
    context = after_close(still_stage, network={"start_requests_per_s": 1.0, "max_requests_per_s": 1.0})
    async with a_night(still_stage, context) as night:
        night.meter.expected_per_s = 2.0
        record = Record.begin(night, expected=8)
        with capture_logs() as logged:
            record.estimate(await night.look())
            context.budget.refuse(now_s=context.clock.monotonic_s())
            record.estimate(await night.look())
    keys = ("requests", "requests_per_s", "hours")
    assert [tuple(line[key] for key in keys) for line in logged] == [(17, 2.0, 0.0), (17, 0.9, 0.01)]
    assert night.to_come == 17


async def test_a_run_says_how_it_ended(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        left = await night.look()
        Record.begin(night, expected=8).end(left)
        night.meter.answered(now_s=1.0)
        night.count("fundamentals", "not_found", "F")
        Record.begin(night, expected=8).end(left)
        crashed = Record.begin(night, expected=8)
        crashed.end(NOTHING)
        whole = Record.begin(night, expected=8)
        whole.ended = ""
        whole.end(NOTHING)
    runs = still_stage.runs("daily")
    assert [run["status"] for run in runs] == ["failed", "partial", "partial", "complete"]
    assert [run["failed"] for run in runs] == [8, 8, 8, 8], "tickers that are still to be asked"
    assert runs[1]["detail"]["stages"] == {"fundamentals": {"not_found": 1}}
    assert runs[1]["detail"]["named"] == {"fundamentals.not_found": ["F"]}
    assert still_stage.coverage("daily")[-1] == {"fresh": 0, "unchanged": 0, "no_trade": 0, "unknown": 8, "total": 8}


async def test_the_bars_of_a_session_are_noted_once(still_stage: Stage) -> None:
    """A scan after the close waits for them, not for hours of fundamentals; a kill after the note brings no second."""
    async with a_night(still_stage) as night:
        first, again = Record.begin(night, expected=8), Record.begin(night, expected=8)
        first.bars(await night.look())
        assert still_stage.runs("daily_bars") == []
        for record in (first, again):
            record.bars(NOTHING)
            record.bars(NOTHING)
    (run,) = still_stage.runs("daily_bars")
    assert (run["status"], run["session"], run["updated"], run["skipped"]) == ("complete", "2026-11-23", 0, 8)
