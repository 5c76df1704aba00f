from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import scanners.context
from core.errors import FixByHand, Unreachable
from core.notify import Notifier
from core.settings import Settings
from scanners.context import Context, load_tickers, minute_of, open_writer, origin_of, reading, run_scanner
from storage.universe import TickerRow, read_tickers
from tests.fix_clock import FakeClock
from tests.fix_scanners import MONDAY, NOON, Stage, Supervisor, changed, eventually
from yahoo.quote import URL


def a_context(folder: Path, clock: FakeClock | None = None, **sections: dict[str, Any]) -> Context:
    settings = changed(Settings(), {"state": {"dir": str(folder)}, **sections})
    return Context.build("test", settings, asyncio.Event(), Notifier(None), clock=clock or FakeClock())


@pytest.mark.parametrize(
    ("hour", "session_date"),
    [(9.0, "2026-11-20"), (9.5, "2026-11-23"), (15.99, "2026-11-23"), (16.0, "2026-11-23"), (23.9, "2026-11-23")],
)
def test_numbers_belong_to_the_open_session_or_to_the_one_just_over(
    tmp_path: Path, hour: float, session_date: str
) -> None:
    midnight = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    context = a_context(tmp_path, FakeClock(midnight + timedelta(hours=hour)))
    assert str(context.session_date()) == session_date


def test_before_the_first_session_of_a_list_the_local_date_counts(tmp_path: Path) -> None:
    listed = tmp_path / "sessions.csv"
    listed.write_text("session,open_utc,close_utc,reason\n2026-11-24,2026-11-24T14:30:00Z,2026-11-24T21:00:00Z,\n")
    clock = FakeClock(datetime(2026, 11, 23, 3, 0, tzinfo=UTC))
    context = a_context(tmp_path, clock, market={"calendar": f"file:{listed}"})
    assert context.session() is None
    assert str(context.session_date()) == "2026-11-22"


async def test_a_wait_ends_when_its_time_is_over(tmp_path: Path) -> None:
    clock = FakeClock()
    context = a_context(tmp_path, clock)
    waiting = asyncio.ensure_future(context.wait(60.0))
    await clock.advance(59.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert await waiting is False


async def test_a_wait_ends_at_once_when_the_scanner_is_asked_to_stop(tmp_path: Path) -> None:
    clock = FakeClock()
    context = a_context(tmp_path, clock)
    waiting = asyncio.ensure_future(context.wait(60.0))
    await clock.advance(1)
    context.stop.set()
    assert await waiting is True


async def test_a_wait_that_is_cancelled_leaves_no_task_behind(tmp_path: Path) -> None:
    clock = FakeClock()
    context = a_context(tmp_path, clock)
    waiting = asyncio.ensure_future(context.wait(60.0))
    await clock.advance(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_wrong_calendar_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"/nowhere\.csv: "):
        a_context(tmp_path, market={"calendar": "file:/nowhere.csv"})


def test_a_minute_starts_at_its_first_second() -> None:
    assert minute_of(NOON + timedelta(seconds=59, microseconds=5)) == NOON


async def test_the_practice_market_is_known_by_its_certificate(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    assert await origin_of(context, URL) == "practice"
    assert context.pulse.facts == {"upstream": "reachable", "origin": "practice"}


async def test_an_upstream_that_is_away_is_waited_for(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    context = still_stage.context("metrics")
    asking = asyncio.ensure_future(origin_of(context, URL))
    await eventually(lambda: context.pulse.facts.get("upstream") == "unreachable")
    still_stage.market.faults.refuse_connections = False
    assert await asking == "practice"


async def test_a_stop_ends_the_wait_for_an_upstream(still_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanners.context, "FIRST_RETRY_S", 1000.0)
    still_stage.market.faults.refuse_connections = True
    context = still_stage.context("metrics")
    asking = asyncio.ensure_future(origin_of(context, URL))
    await eventually(lambda: context.pulse.facts.get("upstream") == "unreachable")
    context.stop.set()
    assert await asyncio.wait_for(asking, 60) is None


async def test_once_an_upstream_that_is_away_is_an_error(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    with pytest.raises(Unreachable):
        await origin_of(still_stage.context("metrics", once=True), URL)


async def test_the_listed_tickers_are_read(still_stage: Stage) -> None:
    rows = await load_tickers(still_stage.context("metrics"))
    assert rows[0] == TickerRow(ticker="AAPL", quote_type=None, dollar_volume_usd=None)
    assert [row.ticker for row in rows] == sorted(still_stage.tickers)


async def test_a_database_that_is_not_there_is_told_in_one_line(still_stage: Stage) -> None:
    context = still_stage.context("metrics", database={"url": f"sqlite:///{still_stage.folder / 'none.db'}"})
    with pytest.raises(FixByHand, match="does not exist"):
        reading(context, read_tickers)
    with pytest.raises(FixByHand, match=r"tickerd db upgrade"):
        open_writer(context, "practice")


async def test_a_scanner_beats_while_it_works_and_says_when_it_ends(still_stage: Stage, supervisor: Supervisor) -> None:
    context = Context.build("test", still_stage.settings, asyncio.Event(), supervisor.notifier())

    async def work(context: Context) -> int:
        await eventually(lambda: supervisor.values("WATCHDOG"))
        return 5

    assert await run_scanner(context, work) == 5
    assert supervisor.drain()[-1] == {"STOPPING": "1"}


async def test_a_scanner_that_fails_says_that_it_stops_and_raises(still_stage: Stage, supervisor: Supervisor) -> None:
    context = Context.build("test", still_stage.settings, asyncio.Event(), supervisor.notifier())

    async def work(context: Context) -> None:
        raise FixByHand("is wrong")

    with pytest.raises(FixByHand):
        await run_scanner(context, work)
    assert supervisor.drain()[-1] == {"STOPPING": "1"}


def test_the_session_of_noon_is_mondays(tmp_path: Path) -> None:
    assert a_context(tmp_path).session() == MONDAY


@pytest.mark.parametrize(("name", "recorded"), [("prices", True), ("metrics", False), ("daily", False)])
async def test_only_the_scanner_whose_setting_asks_for_it_keeps_what_comes(
    tmp_path: Path, name: str, recorded: bool
) -> None:
    settings = changed(Settings(), {"state": {"dir": str(tmp_path)}, "prices": {"flight_recorder_mb": 1}})
    context = Context.build(name, settings, asyncio.Event(), Notifier(None), clock=FakeClock())
    assert (context.flight is not None) is recorded

    async def work(context: Context) -> None:
        if context.flight is not None:
            context.flight.frame(1, b"hello")

    await run_scanner(context, work)
    kept = [each.name for each in tmp_path.glob("flight/prices/*.jsonl.gz")]
    assert kept == (["00000001-20261123T170000Z.jsonl.gz"] if recorded else [])


async def test_the_last_beat_says_what_the_last_cycle_came_to(supervisor: Supervisor, tmp_path: Path) -> None:
    async def work(context: Context) -> None:
        await context.wait(0.05)  # the first beat is under way
        context.pulse.coverage = {"daily": {"fresh": 8}}

    settings = changed(Settings(), {"state": {"dir": str(tmp_path)}})
    context = Context.build("daily", settings, asyncio.Event(), supervisor.notifier())
    await run_scanner(context, work)
    assert supervisor.values("X_COVERAGE") == ['{"daily":{"fresh":8}}']
