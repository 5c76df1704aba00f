from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.settings import Supervisor
from daemon.child import step
from daemon.lifecycle import (
    Beat,
    Change,
    Child,
    Event,
    Exited,
    Files,
    Memory,
    Moment,
    Order,
    Outcome,
    Ready,
    Reloaded,
    Restart,
    Resumed,
    Spawned,
    SpawnFailed,
    Stalled,
    Start,
    State,
    Stop,
    Tick,
    Want,
)

LIMITS = Supervisor(
    ready_timeout_s=60,
    heartbeat_timeout_s=30,
    stop_timeout_s=8,
    backoff_max_s=60,
    breaker_count=5,
    breaker_window_s=300,
    memory_soft_mb=400,
    memory_hard_mb=600,
)


class Play:
    """Feeds events to one child as the shell does: an ordered spawn succeeds at once with the next pid."""

    def __init__(self, *, limits: Supervisor = LIMITS, luck: float = 0.5, once: bool = False) -> None:
        self.child = Child(name="prices", once=once)
        self.limits, self.luck, self.now_s = limits, luck, 1000.0
        self.orders: list[Order] = []
        self.changes: list[Change] = []
        self.next_pid = 101

    def feed(self, event: Event, *, after_s: float = 0.0) -> list[Order]:
        self.now_s += after_s
        outcome = step(self.child, event, Moment(now_s=self.now_s, limits=self.limits, luck=self.luck))
        self.child = outcome.child
        self.orders += outcome.orders
        self.changes += outcome.changes
        if "spawn" in outcome.orders:
            self.next_pid += 1
            self.feed(Spawned(self.next_pid - 1))
        return list(outcome.orders)

    def run(self, session: str = "2026-11-23") -> None:
        self.feed(Want(wanted=True, session=session))
        self.feed(Ready(), after_s=1)

    @property
    def events(self) -> list[str]:
        return [change.event for change in self.changes]


@contextmanager
def running(**keys: object) -> Iterator[Play]:
    play = Play(**keys)  # type: ignore[arg-type]
    play.run()
    yield play


def test_a_wanted_child_is_started_and_runs_once_it_is_ready() -> None:
    play = Play()
    assert play.feed(Want(wanted=True)) == ["spawn"]
    assert (play.child.state, play.child.pid) == (State.STARTING, 101)
    play.feed(Ready())
    assert play.child.state is State.RUNNING
    assert play.events == ["scanner_started", "scanner_ready"]
    assert play.changes[0].pid == 101


def test_a_child_that_is_wanted_again_while_it_runs_is_not_started_twice() -> None:
    with running() as play:
        assert play.feed(Want(wanted=True, session="2026-11-23")) == []


def test_a_first_crash_is_answered_at_once_and_the_second_after_a_pause() -> None:
    with running() as play:
        assert play.feed(Exited(code=1, last_line="boom")) == ["spawn"]
        assert (play.child.state, play.child.restarts) == (State.STARTING, 1)
        assert play.changes[2].detail == "exit code 1: boom"
        assert play.feed(Exited(code=1)) == []
        assert play.child.state is State.BACKOFF
        assert play.child.wake_s == play.now_s + 0.5  # luck 0.5 of 1 s
        assert play.feed(Tick(), after_s=0.4) == []
        assert play.feed(Tick(), after_s=0.2) == ["spawn"]


def test_backoff_doubles_up_to_its_cap() -> None:
    play = Play(limits=Supervisor(breaker_count=99, backoff_max_s=4), luck=0.75)
    play.feed(Want(wanted=True))
    delays_s = []
    for _ in range(5):
        play.feed(Exited(code=1))
        delays_s.append(play.child.wake_s - play.now_s if play.child.pid is None and play.child.wake_s else 0.0)
        play.feed(Tick(), after_s=5)
    assert delays_s == [0.0, 0.75, 1.5, 3.0, 3.0]


def test_a_crash_after_two_minutes_of_health_is_answered_at_once_again() -> None:
    with running() as play:
        play.feed(Exited(code=1))
        play.feed(Ready())
        for _ in range(13):
            play.feed(Beat(), after_s=10)
        play.feed(Tick())
        assert play.feed(Exited(signal=11)) == ["spawn"]
        assert play.changes[-2].cause == "signal"


def fail(play: Play, times: int) -> None:
    for _ in range(times):
        play.feed(Tick(), after_s=10)
        play.feed(Exited(code=1))


def test_five_failures_in_the_window_open_the_breaker_which_tries_again_each_minute_for_ever() -> None:
    with running(luck=0.1) as play:
        fail(play, 5)
        assert (play.child.state, play.child.breaker_open) == (State.OPEN, True)
        assert play.events[-1] == "breaker_opened"
        for _ in range(50):
            assert play.feed(Tick(), after_s=59) == []
            assert play.feed(Tick(), after_s=1) == ["spawn"]
            play.feed(Exited(code=1))
            assert play.child.state is State.OPEN
        assert play.events.count("breaker_opened") == 1


def test_a_breaker_closes_after_two_minutes_of_health() -> None:
    with running(luck=0.1) as play:
        fail(play, 5)
        play.feed(Tick(), after_s=60)
        play.feed(Ready())
        for _ in range(12):
            play.feed(Tick())
            assert play.child.breaker_open
            play.feed(Beat(), after_s=10)
        play.feed(Tick())
        assert not play.child.breaker_open
        assert play.events[-1] == "breaker_closed"


def test_failures_outside_the_window_open_no_breaker() -> None:
    with running(luck=0.1) as play:
        for _ in range(20):
            play.feed(Tick(), after_s=100)
            if play.child.state is State.STOPPING:
                play.feed(Exited(signal=6))
            else:
                play.feed(Exited(code=1))
        assert "breaker_opened" not in play.events


def test_a_wrong_configuration_opens_the_breaker_at_once() -> None:
    with running() as play:
        assert play.feed(Exited(code=78, last_line="tickerd: a.toml: wrong")) == []
        assert (play.child.state, play.changes[-1].cause) == (State.OPEN, "config")
        assert play.child.reason == "exit code 78: tickerd: a.toml: wrong"


def test_a_database_that_is_away_means_a_pause_and_never_the_breaker() -> None:
    with running() as play:
        for _ in range(30):
            assert play.feed(Exited(code=75)) == []
            assert play.child.state is State.BACKOFF
            play.feed(Tick(), after_s=60)


def test_a_silent_child_is_asked_for_its_stacks_and_killed_a_quarter_second_later() -> None:
    with running() as play:
        play.feed(Beat(), after_s=29)
        assert play.feed(Tick(), after_s=29) == []
        assert play.feed(Tick(), after_s=1) == ["abort"]
        assert (play.child.state, play.changes[-1].cause) == (State.STOPPING, "no_beat")
        assert play.feed(Tick(), after_s=0.2) == []
        assert play.feed(Tick(), after_s=0.1) == ["kill"]
        assert play.feed(Exited(signal=9)) == ["spawn"]
        assert play.changes[-2].cause == "no_beat"


def test_a_child_that_never_gets_ready_is_ended_unless_it_beats() -> None:
    play = Play()
    play.feed(Want(wanted=True))
    play.feed(Beat(), after_s=59)
    assert play.feed(Tick(), after_s=29) == []
    assert play.feed(Tick(), after_s=1) == ["abort"]


def test_after_a_stand_still_of_the_daemon_no_child_is_overdue() -> None:
    with running() as play:
        play.feed(Resumed(), after_s=3600)
        assert play.feed(Tick()) == []
        assert play.feed(Tick(), after_s=30) == ["abort"]


def test_the_close_stops_a_child_politely_then_by_force() -> None:
    with running() as play:
        assert play.feed(Want(wanted=False, reason="closed")) == ["ask"]
        assert play.feed(Tick(), after_s=3.9) == []
        assert play.feed(Tick(), after_s=0.1) == ["terminate"]
        assert play.feed(Tick(), after_s=3.9) == []
        assert play.feed(Tick(), after_s=0.1) == ["kill"]
        assert play.feed(Tick(), after_s=7.9) == []
        assert play.feed(Tick(), after_s=0.1) == ["kill"]
        assert play.feed(Exited(signal=9)) == []
        assert (play.child.state, play.child.reason) == (State.WAITING, "closed")
        assert play.changes[-1].cause == "schedule"


def test_a_plan_that_repeats_itself_each_second_does_not_put_off_the_kill() -> None:
    with running() as play:
        orders = [order for _ in range(9) for order in play.feed(Want(wanted=False), after_s=1) + play.feed(Tick())]
        assert orders == ["ask", "terminate", "kill"]


def test_a_stop_during_the_start_and_a_want_during_the_stop_never_make_two() -> None:
    play = Play()
    play.feed(Want(wanted=True))
    assert play.feed(Want(wanted=False)) == ["ask"]
    assert play.feed(Want(wanted=True)) == []
    assert play.feed(Exited(signal=15)) == ["spawn"]


def test_a_manual_stop_stays_stopped_for_its_session() -> None:
    with running() as play:
        assert play.feed(Stop()) == ["ask"]
        play.feed(Exited(code=0))
        assert play.child.state is State.HELD
        assert play.feed(Want(wanted=True, session="2026-11-23")) == []
        assert play.feed(Want(wanted=True, session="2026-11-24")) == ["spawn"]


def test_a_manual_stop_for_ever_outlives_its_session() -> None:
    with running(limits=Supervisor(manual_stop="forever")) as play:
        play.feed(Stop())
        play.feed(Exited(code=0))
        assert play.feed(Want(wanted=True, session="2026-11-24")) == []
        assert play.feed(Start()) == ["spawn"]


def test_a_manual_restart_ends_and_starts_without_counting_as_a_failure() -> None:
    with running() as play:
        assert play.feed(Restart()) == ["ask"]
        assert play.feed(Exited(signal=15)) == ["spawn"]
        assert (play.child.restarts, play.child.failures) == (0, ())


def test_a_manual_start_ends_backoff_and_breaker_at_once() -> None:
    with running(luck=0.1) as play:
        fail(play, 5)
        assert play.feed(Start()) == ["spawn"]
        assert not play.child.breaker_open


def test_a_manual_start_of_what_is_not_wanted_waits() -> None:
    play = Play()
    play.feed(Want(wanted=False, reason="market is closed"))
    assert play.feed(Start()) == []
    assert (play.child.state, play.child.reason) == (State.WAITING, "market is closed")


def test_a_process_switched_off_is_disabled() -> None:
    play = Play()
    play.feed(Want(wanted=False, enabled=False, reason="disabled in the settings"))
    assert (play.child.state, play.child.reason) == (State.DISABLED, "disabled in the settings")


def test_daily_work_that_ends_with_zero_is_finished_and_any_other_program_has_failed() -> None:
    with running(once=True) as play:
        assert play.feed(Exited(code=0)) == []
        assert (play.child.state, play.events[-1]) == (State.WAITING, "scanner_finished")
    with running() as play:
        assert play.feed(Exited(code=0)) == ["spawn"]
        assert play.changes[-2].cause == "exit"


def test_daily_work_that_was_stopped_has_not_finished() -> None:
    with running(once=True) as play:
        play.feed(Restart())
        assert play.feed(Exited(code=0)) == ["spawn"]
        assert "scanner_finished" not in play.events


def test_too_much_memory_ends_politely_at_the_soft_limit_and_at_once_at_the_hard_one() -> None:
    with running() as play:
        assert play.feed(Memory(450.0), after_s=60) == []  # it may still be loading
        assert play.feed(Memory(450.0), after_s=1) == ["ask"]
        assert play.feed(Exited(code=0)) == ["spawn"]
        assert play.changes[-2].cause == "memory"
        assert play.feed(Memory(601.0)) == ["kill"]


def test_a_child_that_leaks_files_is_renewed_before_it_fails() -> None:
    with running() as play:
        assert play.feed(Files(open=3686, limit=4096)) == []
        assert play.feed(Files(open=3687, limit=4096)) == ["ask"]
        assert play.child.reason == "has 3687 of 4096 files open"
        assert play.feed(Files(open=3687, limit=4096)) == []
        assert play.feed(Exited(code=0)) == ["spawn"]
        assert (play.changes[-2].cause, len(play.child.failures)) == ("files", 1)


def test_what_failed_for_its_configuration_is_tried_at_once_when_that_is_read_anew() -> None:
    with running() as play:
        play.feed(Exited(code=78))
        assert play.feed(Tick(), after_s=59) == []
        assert play.feed(Reloaded()) == ["spawn"]
        assert not play.child.breaker_open


def test_what_failed_for_another_reason_waits_on_when_the_configuration_is_read_anew() -> None:
    with running(luck=0.1) as play:
        fail(play, 5)
        assert play.feed(Reloaded()) == []
        assert (play.child.state, play.child.breaker_open) == (State.OPEN, True)
        assert play.feed(Reloaded(changed=True)) == ["spawn"]


def test_a_stopped_child_stays_stopped_when_the_configuration_is_read_anew() -> None:
    with running() as play:
        play.feed(Exited(code=78))
        play.feed(Stop())
        assert play.feed(Reloaded()) == []
        assert play.feed(Reloaded(changed=True)) == []
        assert play.child.state is State.HELD


def test_a_child_with_other_settings_begins_anew_and_that_is_no_failure() -> None:
    with running() as play:
        assert play.feed(Reloaded(changed=True)) == ["ask"]
        assert play.feed(Exited(code=0)) == ["spawn"]
        assert (play.child.failures, play.events[-1]) == ((), "scanner_started")


def test_however_often_the_configuration_is_read_anew_a_hung_child_is_noticed_in_time() -> None:
    with running() as play:
        assert play.feed(Reloaded(), after_s=29) == []
        assert play.feed(Tick(), after_s=1) == ["abort"]


def test_new_limits_hold_from_the_reload_on() -> None:
    with running() as play:
        play.limits = Supervisor(heartbeat_timeout_s=5)
        play.feed(Reloaded(limits=True))
        assert play.feed(Tick(), after_s=4.9) == []
        assert play.feed(Tick(), after_s=0.1) == ["abort"]


def test_a_kill_by_the_kernel_for_memory_is_called_oom() -> None:
    with running() as play:
        play.feed(Exited(signal=9, oom=True))
        assert play.changes[-2].cause == "oom"


def test_data_that_stands_still_ends_a_child_that_beats() -> None:
    with running() as play:
        assert play.feed(Stalled("no data for 181 s")) == ["abort"]
        assert play.feed(Stalled("no data for 182 s")) == []
        assert play.changes[-1].cause == "stall"


def test_a_system_that_refuses_a_process_means_a_pause() -> None:
    child = Child(name="prices", want=Want(wanted=True), attempt=1)
    outcome = step(child, SpawnFailed("no memory"), Moment(now_s=5.0, limits=LIMITS, luck=0.5))
    assert (outcome.child.state, outcome.orders) == (State.BACKOFF, ())
    assert outcome.child.reason == "could not be started: no memory"


def test_a_child_is_renewed_after_its_longest_run() -> None:
    with running(limits=Supervisor(max_runtime_s=100, heartbeat_timeout_s=200)) as play:
        assert play.feed(Tick(), after_s=99) == []
        assert play.feed(Tick(), after_s=1) == ["ask"]


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order. The invariants that hold of one child at each step, without its system:

    I1 never two copies; I2 who should run is down no longer than its pause; I3 who should not is on its way out;
    I5 each change of state is one event; I6 restarts are bounded; I7 a manual stop stays.
    """

    @initialize(
        once=st.booleans(),
        luck=st.floats(min_value=0, max_value=0.999),
        limits=st.sampled_from([LIMITS, Supervisor(breaker_count=1), Supervisor(max_runtime_s=50, stop_timeout_s=60)]),
    )
    def begin(self, once: bool, luck: float, limits: Supervisor) -> None:
        self.child = Child(name="prices", once=once)
        self.luck, self.limits = luck, limits
        self.now_s = 0.0
        self.alive: set[int] = set()
        self.spawned = 0
        self.session = 0
        self.held = self.wanted = self.refuses = False
        self.spawns_s: list[float] = []

    def feed(self, event: Event) -> None:
        before = self.child
        outcome = step(self.child, event, Moment(now_s=self.now_s, limits=self.limits, luck=self.luck))
        self.child = outcome.child
        self.changed_as_told(before.state, outcome)
        for order in outcome.orders:
            self.obey(order)

    def changed_as_told(self, before: State, outcome: Outcome) -> None:
        """I5: the events tell the way from the state before to the state after, without a gap."""
        at = before
        for change in outcome.changes:
            assert change.from_state is at
            assert change.from_state is not State.STOPPING or change.to_state is not State.STOPPING
            at = change.to_state
        assert at is outcome.child.state

    def obey(self, order: Order) -> None:
        if order != "spawn":
            assert self.alive, f"{order} of a child that does not live"
            return
        assert not self.held, "I7: a manual stop did not hold"
        assert not self.alive, "I1: a second copy"
        self.spawns_s.append(self.now_s)
        if self.refuses:
            self.feed(SpawnFailed("no descriptor left"))
        else:
            self.spawned += 1
            self.alive.add(self.spawned)
            self.feed(Spawned(self.spawned))

    def anew(self) -> None:
        """The plan or a person spoke: starts before that are no restarts of ours."""
        self.spawns_s = []

    @rule(wanted=st.booleans(), enabled=st.booleans())
    def plan_speaks(self, wanted: bool, enabled: bool) -> None:
        if wanted != self.wanted:
            self.anew()
        self.wanted = wanted
        self.feed(Want(wanted=wanted, enabled=enabled, session=str(self.session)))

    @rule()
    def next_session(self) -> None:
        self.session += 1
        self.held = False
        self.anew()
        self.feed(Want(wanted=self.wanted, session=str(self.session)))

    @rule(passed_s=st.one_of(st.floats(min_value=0.01, max_value=2), st.floats(min_value=2, max_value=200)))
    def time_passes(self, passed_s: float) -> None:
        """As in the shell: the alarm rings when it is set for."""
        end_s = self.now_s + passed_s
        while self.child.wake_s is not None and self.child.wake_s <= end_s:
            self.now_s = max(self.now_s, self.child.wake_s)
            self.feed(Tick())
        self.now_s = end_s
        self.feed(Tick())

    @precondition(lambda self: self.alive)
    @rule(code=st.sampled_from([0, 1, 69, 75, 78, None]))
    def process_ends(self, code: int | None) -> None:
        self.alive.clear()
        self.feed(Exited(code=code, signal=11 if code is None else None))

    @precondition(lambda self: self.alive)
    @rule(times=st.integers(min_value=1, max_value=12), code=st.sampled_from([0, 1, 75]))
    def process_fails_as_often_as_it_is_started(self, times: int, code: int) -> None:
        for _ in range(times):
            if self.alive:
                self.alive.clear()
                self.feed(Exited(code=code))
            else:
                self.time_passes(1.0)

    @precondition(lambda self: self.alive)
    @rule(
        event=st.sampled_from(
            [Ready(), Beat(), Memory(500.0), Memory(700.0), Files(open=99, limit=100), Stalled("no data")]
        )
    )
    def child_speaks(self, event: Event) -> None:
        self.feed(event)

    @rule()
    def machine_wakes_up(self) -> None:
        self.feed(Resumed())

    @rule(refuses=st.booleans())
    def system_refuses_processes(self, refuses: bool) -> None:
        self.refuses = refuses

    @rule()
    def operator_stops(self) -> None:
        self.held = True
        self.feed(Stop())

    @rule(event=st.sampled_from([Start(), Restart()]))
    def operator_starts(self, event: Event) -> None:
        self.held = False
        self.anew()
        self.feed(event)

    @rule(changed=st.booleans())
    def configuration_is_read_anew(self, changed: bool) -> None:
        self.anew()
        self.feed(Reloaded(changed=changed, limits=changed))

    @invariant()
    def never_two_alive(self) -> None:
        """I1."""
        assert len(self.alive) <= 1
        assert (self.child.pid is not None) == bool(self.alive)
        assert bool(self.alive) == (self.child.state in {State.STARTING, State.RUNNING, State.STOPPING})

    @invariant()
    def whoever_should_run_is_down_no_longer_than_its_pause(self) -> None:
        """I2: also an open breaker tries again, for ever."""
        if self.child.should_run and not self.alive:
            assert self.child.wake_s is not None
            assert self.child.wake_s <= self.now_s + self.limits.backoff_max_s

    @invariant()
    def whoever_should_not_run_is_on_its_way_out(self) -> None:
        """I3: with a next rung within the time to stop."""
        if self.alive and not self.child.should_run:
            assert self.child.state is State.STOPPING
        if self.child.state is State.STOPPING:
            assert self.child.wake_s is not None
            assert self.child.wake_s <= self.now_s + self.limits.stop_timeout_s

    @invariant()
    def restarts_are_bounded(self) -> None:
        """I6: a burst, then one a probe; after what is merely away, a ramp and then half the longest pause."""
        recent = [at_s for at_s in self.spawns_s if at_s > self.now_s - self.limits.breaker_window_s]
        ramp = 8
        assert len(recent) <= self.limits.breaker_count + ramp + self.limits.breaker_window_s / 30

    @invariant()
    def whoever_is_stopped_by_hand_stays_stopped(self) -> None:
        """I7."""
        if self.held:
            assert self.child.state in {State.HELD, State.STOPPING, State.DISABLED}

    @invariant()
    def whoever_waits_for_time_has_an_alarm(self) -> None:
        timed = {State.STARTING, State.RUNNING, State.STOPPING, State.BACKOFF, State.OPEN}
        assert (self.child.wake_s is not None) == (self.child.state in timed)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_crash_loop_restarts_a_bounded_number_of_times() -> None:
    play = Play(luck=0.999)
    play.feed(Want(wanted=True))
    spawned = 1
    for _ in range(3600):
        if play.child.pid is not None:
            spawned += play.feed(Exited(code=1)).count("spawn")
        spawned += play.feed(Tick(), after_s=1).count("spawn")
    assert spawned <= 5 + 3600 / 60
