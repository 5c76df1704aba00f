"""Clock steps, sleep and the sessions' edges with the real orchestrator and real processes: the clock alone is ours."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.config import Loaded
from core.files import read_text
from core.settings import Logging, Market, Settings
from core.settings import State as StateSection
from daemon.crew import Program
from daemon.lifecycle import Child, State, Stop
from daemon.orchestrator import STATUS_INTERVAL_S, Orchestrator
from market.sessions import build_calendar
from tests.fix_clock import FakeClock
from tests.fix_daemon import stub_environ

ALWAYS = Market(calendar="always")
NIGHT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""Monday, 3:00 in New York: the market opens at 14:30 UTC and closes at 21:00."""
STEPS = [timedelta(hours=1), timedelta(hours=-2), timedelta(days=1), timedelta(hours=8)]


class Scene:
    """An orchestrator whose ticks come when a test says so."""

    def __init__(self, orchestrator: Orchestrator, clock: FakeClock) -> None:
        self.orchestrator, self.clock = orchestrator, clock

    def child(self, name: str) -> Child:
        return self.orchestrator._crew.members[name].child

    async def tick(self, passed_s: float = 1.0) -> None:
        await self.clock.advance(passed_s)
        self.orchestrator.tick()

    async def reach(self, name: str, state: State) -> int:
        return int(await self.until(lambda: self.child(name).state is state and (self.child(name).pid or -1)))

    async def until(self, true: Callable[[], Any]) -> Any:
        for _ in range(1500):
            if found := true():
                return found
            await SystemClock().sleep(0.01)
        raise AssertionError("waited in vain")


@asynccontextmanager
async def scene(
    folder: Path, programs: Mapping[str, Program], *, market: Market, now: datetime = NIGHT
) -> AsyncIterator[Scene]:
    settings = Settings(state=StateSection(dir=str(folder)), logging=Logging(dir=str(folder)), market=market)
    (folder / "settings.json").write_text("{}")
    clock = FakeClock(now)
    loaded = Loaded(settings=settings, sources={}, file=None)
    orchestrator = Orchestrator(loaded, environ=stub_environ(), clock=clock, programs=programs, luck=lambda: 0.5)
    orchestrator._prepared = True
    try:
        yield Scene(orchestrator, clock)
    finally:
        orchestrator._crew.dismiss("the test is over")
        orchestrator._crew.kill_all()
        await orchestrator._crew.gone.wait()
        orchestrator.close()


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_a_clock_that_is_set_ends_no_child_early_in_whatever_state(tmp_path: Path, step: timedelta) -> None:
    programs = {
        "prices": Program(module="stub_beats"),
        "metrics": Program(module="stub_waits"),
        "recorder": Program(module="stub_deaf"),
        "daily": Program(module="stub_crashes"),
    }
    async with scene(tmp_path, programs, market=ALWAYS, now=NIGHT.replace(hour=22)) as play:
        await play.tick()
        await play.reach("prices", State.RUNNING)
        await play.reach("recorder", State.RUNNING)
        await play.reach("daily", State.BACKOFF)
        play.orchestrator._crew.feed("recorder", Stop())
        before = {name: (play.child(name).state, play.child(name).pid) for name in ("prices", "metrics", "recorder")}
        due_s = play.child("daily").wake_s
        play.clock.jump(step)
        await play.tick(0.01)
        after = {name: (play.child(name).state, play.child(name).pid) for name in before}
        assert after == before
        assert [state for state, _ in after.values()] == [State.RUNNING, State.STARTING, State.STOPPING]
        assert play.child("daily").wake_s in (due_s, None)


async def test_after_a_sleep_each_child_has_one_grace_period_and_no_more(tmp_path: Path) -> None:
    async with scene(tmp_path, {"prices": Program(module="stub_deaf")}, market=ALWAYS) as play:
        await play.tick()
        pid = await play.reach("prices", State.RUNNING)
        os.kill(pid, signal.SIGSTOP)
        await play.tick(8 * 3600)
        assert play.child("prices").state is State.RUNNING
        for _ in range(29):
            await play.tick()
        assert play.child("prices").state is State.RUNNING
        await play.tick()
        assert (play.child("prices").state, play.child("prices").cause) == (State.STOPPING, "no_beat")


async def test_data_that_stood_still_while_the_machine_slept_is_no_stall(tmp_path: Path) -> None:
    async with scene(tmp_path, {"prices": Program(module="stub_beats")}, market=ALWAYS) as play:
        await play.tick()
        await play.reach("prices", State.RUNNING)
        member = play.orchestrator._crew.members["prices"]
        await play.until(lambda: member.heard.facts)
        await play.tick(8 * 3600)
        assert member.child.state is State.RUNNING


async def test_an_open_missed_in_sleep_starts_now_and_a_close_missed_stops_now(tmp_path: Path) -> None:
    async with scene(tmp_path, {"prices": Program(module="stub_beats")}, market=Market()) as play:
        await play.tick()
        assert play.child("prices").state is State.WAITING
        play.clock.jump(timedelta(hours=8))
        await play.tick()
        assert play.child("prices").state is State.STARTING
        await play.reach("prices", State.RUNNING)
        play.clock.jump(timedelta(hours=8))
        await play.tick()
        assert play.child("prices").state is State.STOPPING
        await play.reach("prices", State.WAITING)


async def test_a_daily_refresh_missed_in_sleep_runs_now_and_once(tmp_path: Path) -> None:
    programs = {"daily": Program(module="stub_done", once=True)}
    async with scene(tmp_path, programs, market=Market()) as play:
        play.orchestrator._daily_done = (NIGHT - timedelta(days=3)).date()
        await play.tick()
        assert play.child("daily").state is State.WAITING
        play.clock.jump(timedelta(hours=16))
        await play.tick()
        assert play.child("daily").state is State.STARTING
        await play.reach("daily", State.WAITING)
        for _ in range(3):
            await play.tick()
        assert play.child("daily").state is State.WAITING
        journal = (tmp_path / "events.jsonl").read_text()
        assert (journal.count("scanner_started"), journal.count("scanner_finished")) == (1, 1)


@pytest.mark.parametrize(
    ("session_date", "opens", "closes"),
    [
        ("2026-03-06", "14:30", "21:00"),  # the last Friday of winter time
        ("2026-03-09", "13:30", "20:00"),  # the first Monday of summer time
        ("2026-11-02", "14:30", "21:00"),  # and of winter time again
        ("2026-11-27", "14:30", "18:00"),  # the day after Thanksgiving
        ("2026-12-24", "14:30", "18:00"),  # Christmas Eve
    ],
)
async def test_scanners_start_and_stop_to_the_second_whatever_the_day(
    tmp_path: Path, session_date: str, opens: str, closes: str
) -> None:
    begins = datetime.fromisoformat(f"{session_date}T{opens}:00+00:00") - timedelta(seconds=Market().warmup_s)
    ends = datetime.fromisoformat(f"{session_date}T{closes}:00+00:00") + timedelta(seconds=Market().linger_s)
    programs = {"prices": Program(module="stub_beats")}
    async with scene(tmp_path, programs, market=Market(), now=begins - timedelta(seconds=2)) as play:
        await play.tick()
        assert play.child("prices").state is State.WAITING
        await play.tick()
        assert play.child("prices").state is State.STARTING
        await play.reach("prices", State.RUNNING)
        play.clock.jump(ends - begins - timedelta(seconds=2))
        await play.tick()
        assert play.child("prices").state is State.RUNNING
        await play.tick()
        assert play.child("prices").state is State.STOPPING


async def test_hours_edited_while_it_runs_count_from_the_next_tick_on(tmp_path: Path) -> None:
    async with scene(tmp_path, {"prices": Program(module="stub_beats")}, market=Market()) as play:
        play.clock.jump(timedelta(hours=8))
        await play.tick()
        await play.reach("prices", State.RUNNING)
        shorter = Market(close="10:30")  # it is 11:00 in New York
        play.orchestrator._calendar = build_calendar(shorter, read=read_text)
        await play.tick()
        assert play.child("prices").state is State.STOPPING


@pytest.mark.parametrize("back_h", [1, -1])
async def test_the_next_status_line_comes_within_five_minutes_of_a_clock_step(tmp_path: Path, back_h: int) -> None:
    """The scheduler thinks in wall time: without a new plan the next line would be an hour late, or lost."""
    async with scene(tmp_path, {}, market=ALWAYS) as play:
        play.orchestrator._jobs.start(play.clock.utc_now())
        await play.tick()
        play.clock.jump(timedelta(hours=-back_h))
        await play.tick()
        planned = play.orchestrator._jobs._scheduler.get_job("status").next_run_time
        assert timedelta(0) < planned - play.clock.utc_now() <= timedelta(seconds=STATUS_INTERVAL_S)
