"""The children and their processes: feeds each state machine, obeys its orders, notes its changes. Plans nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from core.clock import Clock
from core.logs import get_logger
from core.progress import Progress
from core.settings import Settings
from daemon.beats import BeatSocket, Counts, Report
from daemon.child import (
    Beat,
    Change,
    Child,
    Event,
    Exited,
    Memory,
    Moment,
    Order,
    Ready,
    Resumed,
    Spawned,
    SpawnFailed,
    State,
    Tick,
    Want,
    step,
)
from daemon.child_logs import ChildLog
from daemon.journal import Journal
from daemon.process import Launch, Process
from daemon.resources import Meter, Usage, oom_kills

SIGKILL = 9
WARNINGS = {"scanner_failed", "scanner_hung", "breaker_opened"}

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a process runs. `once`: its exit 0 means that its work is done."""

    module: str
    once: bool = False


PROGRAMS: Mapping[str, Program] = {
    "prices": Program(module="scanners.prices"),
    "metrics": Program(module="scanners.metrics"),
    "daily": Program(module="scanners.daily", once=True),
    "recorder": Program(module="storage.recorder"),
    "backup": Program(module="storage.backup", once=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """How the process ended the last time."""

    at: datetime
    code: int | None
    signal: int | None
    cause: str


@dataclass(slots=True)
class Heard:
    """What the running process has said of itself; `*_s`: monotonic seconds."""

    beat_s: float | None = None
    data_at: datetime | None = None
    data_s: float | None = None
    status: str = ""
    progress: Progress | None = None
    coverage: dict[str, Counts] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def take(self, report: Report, now_s: float) -> None:
        if report.beat or report.ready:
            self.beat_s = now_s
        if report.data_at is not None and report.data_at != self.data_at:
            self.data_at, self.data_s = report.data_at, now_s
        self.status = report.status if report.status is not None else self.status
        self.progress = report.progress if report.progress is not None else self.progress
        self.coverage = report.coverage if report.coverage is not None else self.coverage
        self.facts = report.facts if report.facts is not None else self.facts


@dataclass(slots=True, kw_only=True)
class Member:
    """One child with all that belongs to it."""

    program: Program
    child: Child
    log: ChildLog
    process: Process | None = None
    heard: Heard = field(default_factory=Heard)
    last_exit: LastExit | None = None
    usage: Usage | None = None
    bad_reports: int = 0
    alarm: asyncio.TimerHandle | None = None


class Crew:
    """`on_change(change)` is called after each state change; `gone` is set while no process lives."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        *,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        luck: Callable[[], float],
        held: Mapping[str, str],
        launch: Callable[[str, str], Launch],
        on_change: Callable[[Change], None],
    ) -> None:
        """`launch(module, notify_address)` says how a module is started."""
        self._settings, self._clock, self._journal, self._luck = settings, clock, journal, luck
        self._launch, self._on_change = launch, on_change
        self._meter = Meter()
        self._oom_kills = oom_kills()
        self.gone = asyncio.Event()
        self.gone.set()
        self.members = {
            name: Member(
                program=program,
                child=Child(name=name, once=program.once, held_session=held.get(name)),
                log=self._open_log(name),
            )
            for name, program in programs.items()
        }
        self._by_pid: dict[int, Member] = {}
        self.beats = BeatSocket(is_child=self._by_pid.__contains__, on_report=self._reported)

    def want(self, wants: Mapping[str, Want]) -> None:
        for name in self.members:
            if name in wants:
                self.feed(name, wants[name])

    def dismiss(self, reason: str) -> None:
        """Have everybody leave; what an operator holds stays held."""
        for name, member in self.members.items():
            self.feed(name, replace(member.child.want, wanted=False, reason=reason, cause="operator"))

    def held(self) -> dict[str, str]:
        """Return process -> session of each manual stop."""
        children = (member.child for member in self.members.values())
        return {child.name: child.held_session for child in children if child.held_session is not None}

    def feed(self, name: str, event: Event) -> None:
        """Let one event change one child and do what follows from it."""
        member = self.members[name]
        outcome = step(member.child, event, self._moment())
        member.child = outcome.child
        for change in outcome.changes:
            self._note(member, change)
        for order in outcome.orders:
            self._obey(member, order)
        self._set_alarm(member)

    def tick(self) -> None:
        """Judge every child. A beat may wait in the socket, so that is read first."""
        self.beats.receive()
        for name in self.members:
            self.feed(name, Tick())

    def resume(self) -> None:
        """After a stand-still of this process or a jump of the clock: no one is overdue yet."""
        now_s = self._clock.monotonic_s()
        for name, member in self.members.items():
            if member.heard.data_s is not None:
                member.heard.data_s = now_s
            self.feed(name, Resumed())

    def measure(self) -> None:
        """Look at memory and CPU, and let each child's limits judge them."""
        try:
            usages = self._meter.read(self._by_pid, self._clock.monotonic_s())
        except (OSError, psutil.Error) as error:  # no descriptor left: the next look may work
            log.warning("measure_failed", error=str(error))
            return
        for name, member in self.members.items():
            member.usage = usages.get(member.child.pid) if member.child.pid is not None else None
            if member.usage is not None:
                self.feed(name, Memory(member.usage.rss_mb))

    def kill_all(self) -> None:
        for member in self._by_pid.values():
            if member.process is not None:
                member.process.kill()

    def close(self) -> None:
        self.beats.close()
        for member in self.members.values():
            if member.alarm is not None:
                member.alarm.cancel()
            member.log.close()

    def _open_log(self, name: str) -> ChildLog:
        logging = self._settings.logging
        return ChildLog(Path(logging.dir), name, max_mb=logging.max_mb, keep=logging.keep)

    def _moment(self) -> Moment:
        return Moment(now_s=self._clock.monotonic_s(), limits=self._settings.supervisor, luck=self._luck())

    def _set_alarm(self, member: Member) -> None:
        if member.alarm is not None:
            member.alarm.cancel()
            member.alarm = None
        wake_s = member.child.wake_s
        if wake_s is not None:
            delay_s = max(0.0, wake_s - self._clock.monotonic_s())
            member.alarm = asyncio.get_running_loop().call_later(delay_s, self.tick)

    def _obey(self, member: Member, order: Order) -> None:
        if order == "spawn":
            self._spawn(member)
        elif member.process is not None:
            getattr(member.process, order)()

    def _spawn(self, member: Member) -> None:
        name = member.child.name
        member.log.forget_tail()
        try:
            process = Process(
                self._launch(member.program.module, self.beats.address),
                on_exit=lambda returncode: self._exited(member, returncode),
                on_output=member.log.write,
            )
        except OSError as error:  # no memory, no process, no descriptor left
            self.feed(name, SpawnFailed(f"cannot be started: {error}"))
            return
        member.process, member.heard, member.usage = process, Heard(), None
        self._by_pid[process.pid] = member
        self.gone.clear()
        self.feed(name, Spawned(process.pid))

    def _exited(self, member: Member, returncode: int) -> None:
        assert member.process is not None
        self.beats.receive()  # its last words, while its pid is still known
        del self._by_pid[member.process.pid]
        member.process = member.usage = None
        if not self._by_pid:
            self.gone.set()
        code, signal = (returncode, None) if returncode >= 0 else (None, -returncode)
        oom = signal == SIGKILL and self._oom_killed()
        self.feed(member.child.name, Exited(code=code, signal=signal, oom=oom, last_line=member.log.last_line))

    def _oom_killed(self) -> bool:
        """Whether the kernel has killed for memory since the last look: taken for the cause of a SIGKILL."""
        before, self._oom_kills = self._oom_kills, oom_kills()
        return self._oom_kills > before

    def _note(self, member: Member, change: Change) -> None:
        now = self._clock.utc_now()
        ended = change.exit_code is not None or change.signal is not None
        if ended:
            member.last_exit = LastExit(at=now, code=change.exit_code, signal=change.signal, cause=change.cause)
        self._journal.write(change, now)
        level = log.warning if change.event in WARNINGS else log.info
        keys = {
            "process": change.process,
            "pid": change.pid,
            "cause": change.cause,
            "from_state": change.from_state,
            "to_state": change.to_state,
            "exit_code": change.exit_code,
            "signal": change.signal,
            "detail": change.detail or None,
        }
        level(change.event, **{key: value for key, value in keys.items() if value is not None})
        self._on_change(change)

    def _reported(self, pid: int, report: Report, bad_fields: list[str]) -> None:
        member = self._by_pid[pid]
        if bad_fields:
            member.bad_reports += 1
            if member.bad_reports == 1:
                log.warning("report_rejected", process=member.child.name, fields=bad_fields)
        member.heard.take(report, self._clock.monotonic_s())
        if report.ready:
            self.feed(member.child.name, Ready())
        elif report.beat:
            self.feed(member.child.name, Beat())
        self._show_reason(member)

    def _show_reason(self, member: Member) -> None:
        """A live child's own words are the reason of its state."""
        if member.child.state in (State.STARTING, State.RUNNING):
            member.child = replace(member.child, reason=member.heard.status)
