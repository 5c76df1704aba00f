from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.errors import EXIT_DONE, EXIT_TRY_LATER, FixByHand
from scanners.context import Context, run_scanner
from scanners.daily.work import work
from tests.fix_daily import AFTER_CLOSE, QUOTE, SUMMARY, MovedClock, after_close
from tests.fix_scanners import NOON, ShiftedClock, Stage, Supervisor, eventually

OF_MONDAY = "WHERE session_date = '2026-11-23'"


async def test_a_night_brings_fields_bars_history_and_an_audit(still_stage: Stage) -> None:
    assert await run_scanner(after_close(still_stage), work) == EXIT_DONE
    rows = still_stage.stocks("daily_updated_at IS NOT NULL AND metrics_updated_at IS NOT NULL")
    assert rows.keys() == set(still_stage.tickers)
    assert rows["AAPL"]["sector"] == "Technology"
    bars = {bar["ticker"]: bar for bar in still_stage.rows(f"SELECT * FROM stocks_daily_bar {OF_MONDAY}")}
    assert bars.keys() >= set(still_stage.tickers) - {"SOHO"}
    true = still_stage.market.market.stocks["AAPL"]
    bar = bars["AAPL"]
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (true.open, true.high, true.low, true.price)
    assert (bar["volume"], bar["adj_close"]) == (true.volume, true.price)
    assert len(still_stage.rows("SELECT * FROM stocks_daily_bar WHERE ticker = 'AAPL'")) >= 400
    (run,) = still_stage.runs("daily")
    assert (run["status"], run["session"], run["updated"], run["failed"]) == ("complete", "2026-11-23", 8, 0)
    assert run["detail"]["stages"]["charts"] == {"first": 8}
    assert run["detail"]["audit"]["differs"] == 0
    (bars_run,) = still_stage.runs("daily_bars")
    assert (bars_run["status"], bars_run["session"], bars_run["updated"]) == ("complete", "2026-11-23", 7)
    assert bars_run["finished_at"] < run["finished_at"]
    assert still_stage.coverage("daily")[-1] == {
        "fresh": 8,
        "unchanged": 0,
        "no_trade": 0,
        "unknown": 0,
        "total": 8,
    }


async def test_a_later_night_asks_for_no_chart_that_is_not_needed(still_stage: Stage) -> None:
    """Quotes, the session's bars from them, one quoteSummary a ticker: the history stands."""
    first = after_close(still_stage)
    assert await run_scanner(first, work) == EXIT_DONE
    tuesday = AFTER_CLOSE + timedelta(days=1)
    still_stage.market.server.advance(NOON + timedelta(days=1))
    still_stage.market.server.advance(tuesday)
    before = still_stage.market.status().requests
    assert await run_scanner(still_stage.context("daily", clock=ShiftedClock(tuesday)), work) == EXIT_DONE
    run = still_stage.runs("daily")[-1]
    assert run["session"] == "2026-11-24"
    assert "charts" not in run["detail"]["stages"]
    asked = [each.path for each in still_stage.market.requests(before)]
    assert sum(path.startswith(SUMMARY) for path in asked) == 8
    assert sum(path == QUOTE for path in asked) == 1
    bars = still_stage.rows("SELECT * FROM stocks_daily_bar WHERE session_date = '2026-11-24'")
    assert {bar["source"] for bar in bars} == {"quote"}


async def test_a_split_a_dividend_and_a_missed_day_bring_new_charts(still_stage: Stage) -> None:
    assert await run_scanner(after_close(still_stage), work) == EXIT_DONE
    for step in (NOON, AFTER_CLOSE):
        still_stage.market.server.advance(step + timedelta(days=1))
    still_stage.market.event("split", "MSFT", new=4, old=1)
    for step in (NOON, AFTER_CLOSE):
        still_stage.market.server.advance(step + timedelta(days=2))
    wednesday = AFTER_CLOSE + timedelta(days=2)
    assert await run_scanner(still_stage.context("daily", clock=ShiftedClock(wednesday)), work) == EXIT_DONE
    run = still_stage.runs("daily")[-1]
    assert run["detail"]["missed"] == ["2026-11-24"]
    assert run["detail"]["stages"]["needs"] == {"gap": 8}
    assert run["detail"]["stages"]["charts"] == {"added": 7, "reloaded": 1}
    for day in ("2026-11-24", "2026-11-25"):
        held = still_stage.rows(f"SELECT ticker FROM stocks_daily_bar WHERE session_date = '{day}'")
        assert {bar["ticker"] for bar in held} >= set(still_stage.tickers) - {"SOHO"}
    closes = [
        bar["close"]
        for bar in still_stage.rows("SELECT close FROM stocks_daily_bar WHERE ticker = 'MSFT' ORDER BY session_date")
    ]
    assert max(closes[-20:]) < 2 * min(closes[-20:]), "the days before the split are of the new share"


async def test_the_second_start_of_a_session_finds_it_done_without_asking_anything(
    still_stage: Stage, supervisor: Supervisor
) -> None:
    context = after_close(still_stage)
    assert await run_scanner(context, work) == EXIT_DONE
    still_stage.market.faults.refuse_connections = True
    again = Context.build("daily", still_stage.settings, context.stop, supervisor.notifier(), clock=context.clock)
    assert await run_scanner(again, work) == EXIT_DONE
    assert supervisor.values("STATUS") == ["not due: 2026-11-23 is done"]
    assert len(still_stage.runs("daily")) == 1


async def test_before_the_hour_the_session_before_is_refreshed(still_stage: Stage) -> None:
    """Asked at noon the quotes speak of Monday: Friday's bars come from the charts, without Monday's."""
    context = still_stage.context("daily", clock=ShiftedClock(NOON))
    assert await run_scanner(context, work) == EXIT_DONE
    (run,) = still_stage.runs("daily")
    assert (run["session"], run["status"]) == ("2026-11-20", "complete")
    held = still_stage.rows("SELECT max(session_date) newest, count(DISTINCT ticker) tickers FROM stocks_daily_bar")
    assert held == [{"newest": "2026-11-20", "tickers": 8}]


async def test_before_the_first_session_nothing_is_due(still_stage: Stage, supervisor: Supervisor) -> None:
    listed = still_stage.folder / "sessions.csv"
    listed.write_text("session,open_utc,close_utc,reason\n2026-11-24,2026-11-24T14:30:00Z,2026-11-24T21:00:00Z,\n")
    context = still_stage.context("daily", market={"calendar": f"file:{listed}"})
    still_stage.market.faults.refuse_connections = True
    assert await run_scanner(context, work) == EXIT_DONE
    assert still_stage.runs("daily") == []


async def test_a_run_that_is_stopped_is_completed_by_the_next_start(still_stage: Stage) -> None:
    """What was answered is not asked for again, nor with other settings, as after a reload of them."""
    first = after_close(still_stage, daily={"threads": 1})
    still_stage.market.fault("too_many", path=SUMMARY + "SPY*", retry_after_s=600)
    async with still_stage.at_work(first, work) as running:
        await eventually(lambda: still_stage.rows("SELECT * FROM daily_progress WHERE fundamentals IS NOT NULL"))
        assert await running.stop() == EXIT_TRY_LATER
    assert [run["status"] for run in still_stage.runs("daily")] == ["partial"]
    assert [run["status"] for run in still_stage.runs("daily_bars")] == ["complete"], "who waits for bars need not wait"
    done = still_stage.rows("SELECT ticker FROM daily_progress WHERE fundamentals IS NOT NULL")
    still_stage.market.clear()
    (still_stage.folder / "state" / "budget-direct.json").unlink()  # of another morning
    before = still_stage.market.status().requests
    others: dict[str, Any] = {"daily": {"threads": 3, "history_days": 300}, "metrics": {"batch_size": 3}}
    assert await run_scanner(still_stage.context("daily", clock=first.clock, **others), work) == EXIT_DONE
    asked = [each.path for each in still_stage.market.requests(before, path=SUMMARY + "*")]
    left = set(still_stage.tickers) - {row["ticker"] for row in done}
    assert sorted(asked) == sorted(SUMMARY + each for each in left)
    assert [run["status"] for run in still_stage.runs("daily")] == ["partial", "complete"]
    assert len(still_stage.runs("daily_bars")) == 1


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_in_mid_run_neither_repeats_a_session_nor_skips_one(
    still_stage: Stage, hours: int
) -> None:
    still_stage.market.fault("too_many", path=SUMMARY + "SPY", retry_after_s=600)
    clock = MovedClock()
    context = after_close(still_stage, clock=clock, daily={"threads": 1})
    async with still_stage.at_work(context, work) as running:
        await eventually(lambda: context.budget.lane().refusals, timeout_s=60.0)
        clock.jump(timedelta(hours=hours))
        still_stage.market.clear()
        clock.advance(timedelta(minutes=11))
        await eventually(running.task.done, timeout_s=60.0)
        assert running.task.result() == EXIT_DONE
    before = still_stage.market.status().requests
    assert await run_scanner(still_stage.context("daily", clock=clock), work) == EXIT_DONE
    assert still_stage.market.status().requests == before, "not even the session before, which nobody refreshed"
    clock.jump(timedelta(hours=-hours))
    clock.advance(timedelta(days=1))
    for at in (NOON + timedelta(days=1), clock.utc_now()):
        still_stage.market.server.advance(at)
    assert await run_scanner(still_stage.context("daily", clock=clock), work) == EXIT_DONE
    runs = [(run["session"], run["status"], run["updated"]) for run in still_stage.runs("daily")]
    assert runs == [("2026-11-23", "complete", 8), ("2026-11-24", "complete", 8)]


async def test_after_an_early_close_the_refresh_is_due_half_an_hour_later(still_stage: Stage) -> None:
    """The day after Thanksgiving closes at 13:00, which is 18:00 UTC."""
    for days in (1, 2):
        for at in (NOON, AFTER_CLOSE):
            still_stage.market.server.advance(at + timedelta(days=days))
    friday = NOON + timedelta(days=4)
    clock = MovedClock(friday + timedelta(minutes=61))
    for at in (friday, clock.utc_now()):
        still_stage.market.server.advance(at)
    assert await run_scanner(still_stage.context("daily", clock=clock), work) == EXIT_DONE
    clock.advance(timedelta(minutes=29))
    assert await run_scanner(still_stage.context("daily", clock=clock), work) == EXIT_DONE
    runs = [(run["session"], run["status"]) for run in still_stage.runs("daily")]
    assert runs == [("2026-11-25", "complete"), ("2026-11-27", "complete")]
    bars = still_stage.rows("SELECT ticker FROM stocks_daily_bar WHERE session_date = '2026-11-27'")
    assert {bar["ticker"] for bar in bars} >= set(still_stage.tickers) - {"SOHO"}


async def test_practice_quotes_are_never_written_into_live_data(still_stage: Stage) -> None:
    with still_stage.writer("live") as writer:
        writer.run(lambda tx: tx.wrote(0), source="test")
    with pytest.raises(FixByHand, match="holds live data"):
        await run_scanner(after_close(still_stage), work)
    assert still_stage.rows("SELECT * FROM stocks_daily_bar") == []


async def test_a_refresh_that_is_not_through_when_the_next_is_due_goes_on_with_that(still_stage: Stage) -> None:
    """Without proxies a night may be too short: the next one begins with those that were waiting longest."""
    still_stage.market.fault("too_many", path=SUMMARY + "SPY", retry_after_s=600)
    clock = MovedClock()
    context = after_close(still_stage, clock=clock, daily={"threads": 1})
    async with still_stage.at_work(context, work) as running:
        await eventually(lambda: context.budget.lane().refusals, timeout_s=60.0)
        clock.advance(timedelta(days=1))
        await eventually(lambda: len(still_stage.runs("daily")) == 2, timeout_s=60.0)
        still_stage.market.clear()
        await running.stop(within_s=60.0)
    first, second = still_stage.runs("daily")[:2]
    assert (first["session"], first["status"]) == ("2026-11-23", "partial")
    assert first["detail"]["ended"] == "the refresh of 2026-11-24 is due"
    assert second["session"] == "2026-11-24"


async def test_a_universe_that_cannot_be_looked_at_leaves_the_night_as_it_is(still_stage: Stage) -> None:
    still_stage.market.fault("html", path="/v1/finance/screener")
    still_stage.market.fault("html", host="*nasdaqtrader*")
    assert await run_scanner(after_close(still_stage, speed=100.0), work) == EXIT_DONE
    (run,) = still_stage.runs("daily")
    assert (run["status"], run["updated"]) == ("complete", 8)
