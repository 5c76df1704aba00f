"""The children and their processes: feeds each state machine, obeys its orders, notes its changes. Plans nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from core.clock import Clock
from core.logs import get_logger
from core.progress import Progress
from core.settings import Settings
from daemon import leftovers, plan
from daemon.child import step
from daemon.child_logs import ChildLog
from daemon.descendants import identity
from daemon.journal import Journal
from daemon.launch import Launch, run_token
from daemon.leftovers import Family
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
    Ready,
    Resumed,
    Spawned,
    SpawnFailed,
    State,
    Tick,
    Want,
)
from daemon.reports import Counts, Report
from daemon.resources import Meter, Usage, oom_kills
from daemon.system import Beats, Process, end_strays, supervise

SIGKILL = 9
LOCKS = "children"
"""In the state folder: a lock a process name, held by the process itself."""
STOOD_STILL_S = 6.0
"""Without a tick for so long this process stood still, and perhaps the children with it."""
SPIN_S = 60.0  # a process that has done nothing but compute for so long is worth a word
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
    "proxies": Program(module="proxies"),
    "recorder": Program(module="storage.recorder"),
    "screener": Program(module="screener"),
    "api": Program(module="api"),
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
    survivors: int = 0
    """How many processes it has left behind, that had to be ended."""
    spins: bool = False
    """It has done nothing but compute for SPIN_S."""
    bad_reports: int = 0
    alarm: asyncio.TimerHandle | None = None
    alarm_s: float | None = None


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
        self._state_dir = Path(settings.state.dir)
        self._unwritten: deque[tuple[Change, datetime]] = deque()
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
        self._noted: set[int] = set()
        self._ticked_s = clock.monotonic_s()
        self.beats = Beats(is_child=self._by_pid.__contains__, on_report=self._reported)

    def want(self, wants: Mapping[str, Want]) -> None:
        for name in self.members:
            if name in wants:
                self.feed(name, wants[name])

    def configure(self, settings: Settings) -> None:
        """Judge by other limits and write other logs from now on."""
        self._settings = settings
        for member in self.members.values():
            member.log.configure(settings.logging)

    def dismiss(self, reason: str) -> None:
        """Have everybody leave; what an operator holds stays held."""
        for name, member in self.members.items():
            self.feed(name, replace(member.child.want, wanted=False, reason=reason, cause="operator"))

    def held(self) -> dict[str, str]:
        """Return process -> session of each manual stop."""
        children = (member.child for member in self.members.values())
        return {child.name: child.held_session for child in children if child.held_session is not None}

    def feed(self, name: str, event: Event) -> None:
        """Let one event change one child and do what follows from it; then write it down: a disk holds up no start."""
        self._apply(self.members[name], event)
        self._write_down()

    def _apply(self, member: Member, event: Event) -> None:
        outcome = step(member.child, event, self._moment(member.child.name))
        member.child = outcome.child
        now = self._clock.utc_now()
        for change in outcome.changes:
            self._unwritten.append((change, now))
            if change.exit_code is not None or change.signal is not None:
                member.last_exit = LastExit(at=now, code=change.exit_code, signal=change.signal, cause=change.cause)
        for order in outcome.orders:
            self._obey(member, order)
        self._set_alarm(member)

    def tick(self) -> None:
        """Judge every child. A beat may wait in the socket, so that is read first."""
        self.beats.receive()
        self._ticked_s = self._clock.monotonic_s()
        for name in self.members:
            self.feed(name, Tick())

    def resume(self) -> None:
        """After a stand-still of this process or a jump of the clock: no one is overdue yet."""
        for name in self.members:
            self.feed(name, Resumed())

    def measure(self) -> None:
        """Look at what each child uses, and let its limits judge it; end who belongs to nobody any more."""
        live = {pid: member.process for pid, member in self._by_pid.items() if member.process is not None}
        try:
            known = {process.kin for process in live.values()}
            usages = self._meter.read({pid: process.look() for pid, process in live.items()}, self._clock.monotonic_s())
            if known != {process.kin for process in live.values()}:
                self.note_families()
            end_strays()
        except (OSError, psutil.Error) as error:  # no descriptor left: the next look may work
            log.warning("measure_failed", error=str(error))
            return
        for member in self.members.values():
            member.usage = usages.get(member.child.pid) if member.child.pid is not None else None
            member.spins = member.spins and member.usage is not None
            if member.usage is not None:
                self._judge(member, member.usage)

    def _judge(self, member: Member, usage: Usage) -> None:
        spins = usage.busy_s >= SPIN_S
        if spins and not member.spins:
            log.warning("cpu_spun", process=member.child.name, busy_s=round(usage.busy_s))
        member.spins = spins
        if usage.open_files_limit:
            self.feed(member.child.name, Files(open=usage.open_files, limit=usage.open_files_limit))
        self.feed(member.child.name, Memory(usage.rss_mb))

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

    def _moment(self, name: str) -> Moment:
        limits = plan.limits_of(name, self._settings)
        return Moment(now_s=self._clock.monotonic_s(), limits=limits, luck=self._luck())

    def _set_alarm(self, member: Member) -> None:
        wake_s = member.child.wake_s
        if member.alarm is not None:
            if member.alarm_s == wake_s:
                return
            member.alarm.cancel()
            member.alarm = None
        if wake_s is not None:
            delay_s = max(0.0, wake_s - self._clock.monotonic_s())
            member.alarm_s, member.alarm = wake_s, asyncio.get_running_loop().call_later(delay_s, self._ring, member)

    def _ring(self, member: Member) -> None:
        member.alarm = None
        if self._clock.monotonic_s() - self._ticked_s > STOOD_STILL_S:
            self.resume()
        self.tick()

    def _obey(self, member: Member, order: Order) -> None:
        if order == "spawn":
            self._spawn(member)
        elif member.process is not None:
            getattr(member.process, order)()

    def _spawn(self, member: Member) -> None:
        name = member.child.name
        member.log.forget_tail()
        try:
            process = supervise(
                partial(self._launch, member.program.module),
                self.beats,
                on_exit=lambda returncode: self._exited(member, returncode),
                on_output=member.log.write,
                lock=self._state_dir / LOCKS / f"{name}.lock",
            )
        except OSError as error:  # no memory, no process, no descriptor left, or a copy that nobody started
            self._apply(member, SpawnFailed(str(error)))
            return
        member.process, member.heard, member.usage = process, Heard(), None
        self._by_pid[process.pid] = member
        self.gone.clear()
        self._apply(member, Spawned(process.pid))

    def _exited(self, member: Member, returncode: int) -> None:
        ended = member.process
        assert ended is not None
        self.beats.receive()  # its last words, while its pid is still known
        del self._by_pid[ended.pid]
        member.process = member.usage = None
        if not self._by_pid:
            self.gone.set()
        code, signal = (returncode, None) if returncode >= 0 else (None, -returncode)
        oom = signal == SIGKILL and self._oom_killed()
        self._apply(member, Exited(code=code, signal=signal, oom=oom, last_line=member.log.last_line))
        member.survivors += ended.survivors
        if ended.survivors:
            log.warning("survivors_ended", process=member.child.name, pid=ended.pid, survivors=ended.survivors)
        self._write_down()

    def note_families(self) -> None:
        """For the next orchestrator, should this one be killed."""
        self._noted = set(self._by_pid)
        families = [
            Family(member.child.name, [who for who in (identity(pid), *member.process.kin) if who is not None])
            for pid, member in self._by_pid.items()
            if member.process is not None
        ]
        leftovers.note(self._state_dir, run_token(), families)

    def _oom_killed(self) -> bool:
        """Whether the kernel has killed for memory since the last look: taken for the cause of a SIGKILL."""
        before, self._oom_kills = self._oom_kills, oom_kills()
        return self._oom_kills > before

    def _write_down(self) -> None:
        """Note what has happened, in its order."""
        if self._noted != self._by_pid.keys():
            self.note_families()
        while self._unwritten:
            change, at = self._unwritten.popleft()
            self._journal.write(change, at)
            _tell(change)
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


def _tell(change: Change) -> None:
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
