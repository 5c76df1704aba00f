"""One supervised process as a state machine: (child, event, now) -> (child, orders, changes). Does nothing itself.

At most one copy lives: "spawn" is ordered only while `pid` is None, and only Exited makes it None again.
"""

from __future__ import annotations

from dataclasses import replace

from core.errors import EXIT_CONFIG, EXIT_DONE, EXIT_TRY_LATER, EXIT_UNREACHABLE
from daemon.lifecycle import (
    Beat,
    Cause,
    Change,
    Child,
    Event,
    Exited,
    Files,
    Manual,
    Measured,
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

ABORT_GRACE_S = 0.25  # what a hung process gets for its stack dump
HEALTHY_S = 120.0  # a process that ran this long is well again: backoff and breaker are reset
MEMORY_GRACE_S = 60.0  # the soft limit judges no process that is still loading its data
FULL_OF_FILES = 0.9  # of the descriptors that it may have: a process that leaks them is renewed before it fails
ASKED_SHARE = 0.5  # of the time to stop: then the whole group is told, at its end killed
FAULTS: frozenset[Cause] = frozenset({"stall", "no_beat", "memory", "files"})
"""Stops that are the process's own fault: they count as failures."""
RESTED = {
    State.WAITING: "scanner_released",
    State.HELD: "scanner_held",
    State.DISABLED: "scanner_disabled",
}
"""Events of a child that changes from one kind of rest to another."""


def step(child: Child, event: Event, at: Moment) -> Outcome:
    """Return the child after `event`, what to do now and what to write into the journal."""
    match event:
        case Want():
            return _settle(_planned(child, event, at), at, cause=event.cause)
        case Start() | Stop() | Restart():
            return _manual(child, event, at)
        case Spawned() | SpawnFailed() | Exited():
            return _process_event(child, event, at)
        case Ready() | Beat() | Resumed():
            return _alive(child, event, at)
        case Tick():
            return _tick(child, at)
        case Memory() | Files():
            return _measured(child, event, at)
        case Reloaded():
            return _reloaded(child, event, at)
        case Stalled(reason):
            return _hung(child, at, cause="stall", detail=reason) if child.state is State.RUNNING else Outcome(child)


def _process_event(child: Child, event: Spawned | SpawnFailed | Exited, at: Moment) -> Outcome:
    match event:
        case Spawned(pid):
            return _spawned(child, pid, at)
        case SpawnFailed(reason):
            return _failed(child, Exited(last_line=reason), at, cause="crash")
        case Exited():
            return _exited(child, event, at)


def _planned(child: Child, want: Want, at: Moment) -> Child:
    held = want.session if child.held_session == "" else child.held_session
    if at.limits.manual_stop == "session" and held != want.session:
        held = None
    if want == child.want and held == child.held_session:
        return child
    reason = want.reason if child.state in (State.WAITING, State.DISABLED) else child.reason
    return replace(child, want=want, held_session=held, reason=reason)


def _settle(child: Child, at: Moment, *, cause: Cause) -> Outcome:
    """Bring a child that is not where it should be one move nearer."""
    if child.state is State.STOPPING:
        return Outcome(child)
    if child.pid is not None:
        why = child.want.reason if child.held_session is None else ""
        return Outcome(child) if child.should_run else _terminate(child, at, cause=cause, detail=why)
    if not child.should_run:
        return _rest(child, at, cause=cause)
    if child.state in (State.BACKOFF, State.OPEN):
        due = child.wake_s is None or at.now_s >= child.wake_s
        return Outcome(child, ("spawn",) if due else ())
    return Outcome(replace(child, cause=cause), ("spawn",))


def _manual(child: Child, event: Manual, at: Moment) -> Outcome:
    if isinstance(event, Stop):
        return _settle(replace(child, held_session=child.want.session), at, cause="operator")
    wake_s = at.now_s if child.state in (State.BACKOFF, State.OPEN) else child.wake_s
    child = replace(child, held_session=None, breaker_open=False, failures=(), attempt=0, wake_s=wake_s)
    if isinstance(event, Restart) and child.state in (State.STARTING, State.RUNNING):
        return _terminate(child, at, cause="operator")
    return _settle(child, at, cause="operator")


def _reloaded(child: Child, event: Reloaded, at: Moment) -> Outcome:
    """Begin anew with other settings; one that failed for its settings, or has others now, need not wait longer."""
    if event.changed and child.state in (State.STARTING, State.RUNNING):
        return _terminate(child, at, cause="config", detail="its settings were changed")
    if child.cause == "config":
        child = replace(child, breaker_open=False, failures=(), attempt=0)
    if child.state in (State.BACKOFF, State.OPEN) and (event.changed or child.cause == "config"):
        return _settle(replace(child, wake_s=at.now_s), at, cause="config")
    return _alive(child, Resumed(), at) if event.limits else Outcome(child)


def _rest(child: Child, at: Moment, *, cause: Cause, ended: Exited | None = None, event: str = "") -> Outcome:
    """Let the child lie: disabled, held or waiting."""
    state, reason = State.WAITING, child.want.reason
    if not child.want.enabled:
        state = State.DISABLED
    elif child.held_session is not None:
        state, reason = State.HELD, "stopped by hand"
    rested = replace(child, reason=reason, wake_s=None, breaker_open=False)
    if state is child.state and ended is None:
        return Outcome(rested)
    return _changed(rested, state, event or RESTED[state], at, cause=cause, ended=ended)


def _terminate(child: Child, at: Moment, *, cause: Cause, detail: str = "") -> Outcome:
    """The first rung: the process itself is asked, so that it can flush and end its own helpers in order."""
    wake_s = at.now_s + ASKED_SHARE * at.limits.stop_timeout_s
    stopping = replace(child, cause=cause, wake_s=wake_s, next_order="terminate", reason=detail or cause)
    return _changed(stopping, State.STOPPING, "scanner_stopping", at, cause=cause, orders=("ask",), detail=detail)


def _kill(child: Child, at: Moment, *, cause: Cause, detail: str) -> Outcome:
    """No polite wait: it would only grow."""
    killed = replace(
        child, cause=cause, wake_s=at.now_s + at.limits.stop_timeout_s, next_order="kill", reason=detail or cause
    )
    return _changed(killed, State.STOPPING, "scanner_stopping", at, cause=cause, orders=("kill",), detail=detail)


def _climb(child: Child, at: Moment) -> Outcome:
    """The next rung of the ladder; the last one again and again."""
    share = 1 - ASKED_SHARE if child.next_order == "terminate" else 1.0
    wake_s = at.now_s + share * at.limits.stop_timeout_s
    return Outcome(replace(child, wake_s=wake_s, next_order="kill"), (child.next_order,))


def _hung(child: Child, at: Moment, *, cause: Cause, detail: str) -> Outcome:
    hung = replace(child, cause=cause, wake_s=at.now_s + ABORT_GRACE_S, next_order="kill", reason=detail)
    return _changed(hung, State.STOPPING, "scanner_hung", at, cause=cause, orders=("abort",), detail=detail)


def _spawned(child: Child, pid: int, at: Moment) -> Outcome:
    again = child.state in (State.BACKOFF, State.OPEN)
    started = replace(
        child,
        pid=pid,
        ready_s=None,
        restarts=child.restarts + again,
        wake_s=at.now_s + at.limits.ready_timeout_s,
        reason="",
    )
    event = "scanner_restarted" if again else "scanner_started"
    return _changed(started, State.STARTING, event, at, cause=child.cause, detail=child.reason if again else "")


def _alive(child: Child, event: Ready | Beat | Resumed, at: Moment) -> Outcome:
    beaten_s = at.now_s + at.limits.heartbeat_timeout_s
    match child.state, event:
        case State.STARTING, Ready():
            ready = replace(child, ready_s=at.now_s, wake_s=beaten_s)
            return _changed(ready, State.RUNNING, "scanner_ready", at, cause=child.cause)
        case State.STARTING, Resumed():
            return Outcome(replace(child, wake_s=at.now_s + at.limits.ready_timeout_s))
        case State.STARTING, _:
            return Outcome(replace(child, wake_s=max(child.wake_s or 0.0, beaten_s)))
        case State.RUNNING, _:
            return Outcome(replace(child, wake_s=beaten_s))
    return Outcome(child)


def _tick(child: Child, at: Moment) -> Outcome:
    if child.state is State.RUNNING and not _overdue(child, at):
        return _aged(child, at)
    if not _overdue(child, at):
        return Outcome(child)
    match child.state:
        case State.STARTING:
            detail = f"not ready after {at.now_s - child.since_s:.0f} s"
            return _hung(child, at, cause="no_beat", detail=detail)
        case State.RUNNING:
            return _hung(child, at, cause="no_beat", detail=f"no beat for {at.limits.heartbeat_timeout_s:g} s")
        case State.STOPPING:
            return _climb(child, at)
    return _settle(child, at, cause=child.cause)


def _overdue(child: Child, at: Moment) -> bool:
    return child.wake_s is not None and at.now_s >= child.wake_s


def _aged(child: Child, at: Moment) -> Outcome:
    """What only the age of a healthy process changes."""
    age_s = at.now_s - (child.ready_s or at.now_s)
    if at.limits.max_runtime_s and age_s >= at.limits.max_runtime_s:
        return _terminate(child, at, cause="schedule", detail=f"ran for {age_s:.0f} s")
    if age_s < HEALTHY_S or not (child.attempt or child.breaker_open):
        return Outcome(child)
    well = replace(child, attempt=0, failures=(), breaker_open=False)
    if not child.breaker_open:
        return Outcome(well)
    closed = _change(well, State.RUNNING, "breaker_closed", cause=child.cause, detail=f"well for {HEALTHY_S:g} s")
    return Outcome(well, (), (closed,))


def _measured(child: Child, event: Measured, at: Moment) -> Outcome:
    if child.state not in (State.STARTING, State.RUNNING):
        return Outcome(child)
    if isinstance(event, Files):
        full = event.open >= FULL_OF_FILES * event.limit
        detail = f"has {event.open} of {event.limit} files open"
        return _terminate(child, at, cause="files", detail=detail) if full else Outcome(child)
    detail = f"uses {event.rss_mb:.0f} MB"
    if event.rss_mb > at.limits.memory_hard_mb:
        return _kill(child, at, cause="memory", detail=detail)
    loaded = child.ready_s is not None and at.now_s > child.ready_s + MEMORY_GRACE_S
    if event.rss_mb > at.limits.memory_soft_mb and loaded:
        return _terminate(child, at, cause="memory", detail=detail)
    return Outcome(child)


def _exited(child: Child, ended: Exited, at: Moment) -> Outcome:
    if child.state is State.STOPPING:
        if child.cause in FAULTS:
            return _failed(child, ended, at, cause=child.cause)
        stopped = _rest(child, at, cause=child.cause, ended=ended, event="scanner_stopped")
        follow = _settle(stopped.child, at, cause=child.cause)
        return Outcome(follow.child, follow.orders, stopped.changes + follow.changes)
    if child.once and ended.code == EXIT_DONE:
        done = replace(child, want=replace(child.want, wanted=False, reason="done"), attempt=0, failures=())
        return _rest(done, at, cause="exit", ended=ended, event="scanner_finished")
    return _failed(child, ended, at, cause=_cause(ended))


def _cause(ended: Exited) -> Cause:
    if ended.signal is not None:
        return "oom" if ended.oom else "signal"
    if ended.code == EXIT_CONFIG:
        return "config"
    return "exit" if ended.code in (EXIT_DONE, EXIT_TRY_LATER, EXIT_UNREACHABLE) else "crash"


def _failed(child: Child, ended: Exited, at: Moment, *, cause: Cause) -> Outcome:
    """At once again after a first failure, then later and later; too many in the window open the breaker."""
    child = replace(child, cause=cause)
    if not child.should_run:
        return _rest(child, at, cause=cause, ended=ended, event="scanner_failed")
    later = ended.code in (EXIT_TRY_LATER, EXIT_UNREACHABLE)  # what it needs is away: no fault of its own
    recent = tuple(s for s in child.failures if s > at.now_s - at.limits.breaker_window_s)
    child = replace(child, failures=recent if later else (*recent, at.now_s))
    trip = ended.code == EXIT_CONFIG or len(child.failures) >= at.limits.breaker_count
    said = _in_words(ended, cause, child.reason)
    if child.breaker_open or trip:
        event = "scanner_failed" if child.breaker_open else "breaker_opened"
        opened = replace(child, breaker_open=True, reason=said, wake_s=at.now_s + at.limits.backoff_max_s)
        return _changed(opened, State.OPEN, event, at, cause=cause, ended=ended, detail=said)
    delay_s = _delay_s(child.attempt, at) if not later else _away_s(child.attempt, at)
    backoff = replace(child, attempt=child.attempt + 1, reason=said, wake_s=at.now_s + delay_s)
    orders: tuple[Order, ...] = ("spawn",) if delay_s == 0 else ()
    return _changed(backoff, State.BACKOFF, "scanner_failed", at, cause=cause, ended=ended, detail=said, orders=orders)


def _delay_s(attempt: int, at: Moment) -> float:
    """Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/."""
    if attempt == 0:
        return 0.0
    return at.luck * min(at.limits.backoff_max_s, 2.0 ** min(attempt - 1, 30))


def _away_s(attempt: int, at: Moment) -> float:
    """Half jitter: what is away is asked for without end, so never without a pause."""
    return (1 + at.luck) / 2 * min(at.limits.backoff_max_s, 2.0 ** min(max(attempt - 1, 0), 30))


def _in_words(ended: Exited, cause: Cause, reason: str) -> str:
    if cause in FAULTS:
        return reason
    how = f"signal {ended.signal}" if ended.signal is not None else f"exit code {ended.code}"
    how = "could not be started" if ended.signal is None and ended.code is None else how
    return f"{how}: {ended.last_line}" if ended.last_line else how


def _changed(
    child: Child,
    state: State,
    event: str,
    at: Moment,
    *,
    cause: Cause,
    ended: Exited | None = None,
    orders: tuple[Order, ...] = (),
    detail: str = "",
) -> Outcome:
    """The one place where a state changes, with its one event."""
    change = _change(child, state, event, cause=cause, ended=ended, detail=detail)
    pid = None if ended is not None else child.pid
    return Outcome(replace(child, state=state, since_s=at.now_s, pid=pid), orders, (change,))


def _change(
    child: Child, state: State, event: str, *, cause: Cause, ended: Exited | None = None, detail: str = ""
) -> Change:
    return Change(
        process=child.name,
        event=event,
        from_state=child.state,
        to_state=state,
        cause=cause,
        pid=child.pid,
        exit_code=ended.code if ended else None,
        signal=ended.signal if ended else None,
        detail=detail or (ended.last_line if ended else ""),
    )
