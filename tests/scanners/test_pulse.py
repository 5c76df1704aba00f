from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from core.progress import Progress
from core.tasks import cancel_all, spawn
from scanners.pulse import Pulse
from tests.fix_clock import NOON, FakeClock
from tests.fix_scanners import Supervisor


def a_pulse(supervisor: Supervisor, shown: list[Progress] | None = None) -> tuple[Pulse, FakeClock]:
    clock = FakeClock()
    return Pulse(supervisor.notifier(), clock, (shown if shown is not None else []).append), clock


async def test_it_beats_until_it_is_stopped_three_times_in_a_heartbeats_time_out(supervisor: Supervisor) -> None:
    clock = FakeClock()
    pulse = Pulse(supervisor.notifier(), clock, lambda _: None, heartbeat_timeout_s=6)
    stop = asyncio.Event()
    beating = spawn(pulse.run(stop), name="pulse", on_error=lambda _error: None)
    await clock.advance(6)
    assert len(supervisor.values("WATCHDOG")) == 4
    stop.set()
    await clock.advance(10)
    assert beating.done()
    assert len(supervisor.values("WATCHDOG")) == 4
    await cancel_all([beating])


def test_before_any_data_a_beat_says_only_that_the_process_lives(supervisor: Supervisor) -> None:
    pulse, _ = a_pulse(supervisor)
    pulse.beat()
    assert supervisor.drain() == [{"WATCHDOG": "1", "X_FACTS": "{}"}]


def test_a_beat_carries_time_of_data_progress_coverage_and_facts(supervisor: Supervisor) -> None:
    shown: list[Progress] = []
    pulse, _ = a_pulse(supervisor, shown)
    pulse.reached()
    progress = Progress(stage="prices", done=1, total=2, eta_s=3.0)
    pulse.advance(progress)
    pulse.coverage = {"price": {"fresh": 1}}
    pulse.beat()
    fields = supervisor.drain()[-1]
    assert fields["X_DATA_AT"] == "2026-11-23T17:00:00.000Z"
    assert json.loads(fields["X_PROGRESS"]) == {"stage": "prices", "done": 1, "total": 2, "eta_s": 3.0}
    assert json.loads(fields["X_COVERAGE"]) == {"price": {"fresh": 1}}
    assert json.loads(fields["X_FACTS"]) == {"upstream": "reachable"}
    assert shown == [progress]


def test_an_upstream_that_is_away_keeps_the_time_it_went(supervisor: Supervisor) -> None:
    pulse, clock = a_pulse(supervisor)
    pulse.reached()
    pulse.unreachable("refused")
    clock.jump(timedelta(seconds=60))
    pulse.unreachable("timeout")
    assert pulse.facts == {"upstream": "unreachable", "upstream_since": "2026-11-23T17:00:00.000Z"}
    assert supervisor.values("STATUS")[-1] == (
        "upstream unreachable since 2026-11-23T17:00:00.000Z: timeout; trying again"
    )
    assert pulse.data_at == NOON


def test_an_upstream_that_refuses_is_told_apart_from_one_that_is_away(supervisor: Supervisor) -> None:
    pulse, clock = a_pulse(supervisor)
    pulse.unreachable("timeout")
    clock.jump(timedelta(seconds=60))
    pulse.refusing("status 429")
    assert pulse.facts == {"upstream": "refusing", "upstream_since": "2026-11-23T17:01:00.000Z"}
    said = "upstream refusing since 2026-11-23T17:01:00.000Z: status 429; slowing down"
    assert supervisor.values("STATUS")[-1] == said


def test_what_the_orchestrator_judges_by_does_not_wait_for_the_next_beat(supervisor: Supervisor) -> None:
    pulse, _ = a_pulse(supervisor)
    for change in (pulse.reached, pulse.reached, lambda: pulse.unreachable("refused"), pulse.reached):
        change()
    told = [json.loads(text)["upstream"] for text in supervisor.values("X_FACTS")]
    assert told == ["reachable", "unreachable", "reachable"]


def test_an_upstream_that_is_back_is_said_once(supervisor: Supervisor) -> None:
    pulse, _ = a_pulse(supervisor)
    pulse.unreachable("refused")
    pulse.reached()
    pulse.reached()
    assert pulse.facts == {"upstream": "reachable"}
    assert supervisor.values("STATUS")[1:] == ["upstream is back"]


def test_ready_and_stopping_are_said(supervisor: Supervisor) -> None:
    pulse, _ = a_pulse(supervisor)
    pulse.ready()
    pulse.stopping()
    assert supervisor.drain() == [{"READY": "1"}, {"STOPPING": "1"}]
