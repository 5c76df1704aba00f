"""The daemon's loop: each second, what should be true now? Holds no wish of its own: plan and state machines decide."""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from core import config, tasks
from core.clock import Clock, SystemClock, utc_text
from core.config import Loaded
from core.errors import EXIT_CONFIG, EXIT_DONE, EXIT_FAILED, EXIT_TRY_LATER, EXIT_UNREACHABLE, RetryLater, TickerdError
from core.files import FileLock, make_folder, write_atomic, writing
from core.logs import LineSink, get_logger
from core.notify import Notifier
from core.settings import Settings
from daemon import leftovers, plan, status
from daemon.alerts import AlertCommand, Alerts
from daemon.child_logs import ChildLog
from daemon.control import ControlServer, Handler, Refused
from daemon.crew import PROGRAMS, Crew, Program
from daemon.holds import read_holds, write_holds
from daemon.jobs import Jobs
from daemon.journal import Journal
from daemon.launch import Launch, launch
from daemon.lifecycle import Change, Manual, Reloaded, Restart, Stalled, Start, State, Stop
from daemon.prepare import MODULE, Attempt, Preparation, wait
from daemon.reaper import Reaper, become_subreaper
from daemon.reload import Reading, Reread, SettingsChange, Source, check_log_folder, reread_of
from daemon.status import Snapshot

TICK_S = 1.0
MEASURE_S = 5.0
TELL_S = 3.0
JUMP_S = 5.0  # a clock or a loop that is off by more has jumped; less is slewing or load
STATUS_INTERVAL_S = 300
STOP_MARGIN_S = 5.0  # from the end of the children's time to stop to our own end
SETTINGS_FILE = "settings.json"
RESTARTED = (State.STARTING, State.RUNNING)
"""What runs with old settings ends and begins anew."""

log = get_logger(__name__)


class Orchestrator:
    """One run of the daemon; the caller holds the lock of the state folder."""

    _lock: FileLock | None = None
    _market_open: bool | None = None
    _lost = False
    """Something in the state folder is gone, and not made anew yet."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        environ: Mapping[str, str],
        clock: Clock | None = None,
        programs: Mapping[str, Program] = PROGRAMS,
        prepare_module: str = MODULE,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """FixByHand if the calendar cannot be built. Needs a running loop."""
        self._settings = loaded.settings
        self._environ = _environ_of(environ, loaded)
        self._clock: Clock = clock or SystemClock()
        self._folder = folder = loaded.file.parent if loaded.file else Path.cwd()
        self._state_dir = Path(self._settings.state.dir)
        self._source = Source(loaded, reread_of(loaded, environ, folder))
        self._calendar = self._source.reading.calendar
        self._journal = Journal(self._state_dir)
        self._notifier = Notifier.from_environment(environ)
        self._stop, self._control = asyncio.Event(), ControlServer(self._state_dir, self._handlers())
        self._exit_code = EXIT_DONE
        self._state, self._since = "starting", self._clock.utc_now()
        self._prepared, self._plan_fault, self._daily_begun = False, "", ""
        self._daily_done: date | None = None
        self._backup_begun: datetime | None = None
        self._backup_done: datetime | None = None
        command = AlertCommand(logging=self._settings.logging, environ=self._environ, folder=folder)
        self._alerts, self._own_logs = Alerts(self._journal, command), [command.log]
        self._database = status.Database(url=self._settings.database.url, reachable=None)
        self._wall_offset_s = self._offset_s()
        self._since_s = self._clock.monotonic_s()
        self._last_tick_s = self._last_measure_s = self._resumed_s = self._tell_s = self._since_s
        self._reaper = Reaper()
        self._jobs = Jobs(self._report_status, interval_s=STATUS_INTERVAL_S, zone_name=self._settings.market.timezone)
        self._preparation = Preparation(
            self._launch(prepare_module, ""),
            settings=self._settings,
            luck=luck,
            on_attempt=lambda attempt: self._set_reachable(False, attempt.said),
        )
        if not self._settings.backup.enabled:
            programs = {name: program for name, program in programs.items() if name != plan.BACKUP}
        self._held = read_holds(self._state_dir)
        self._crew = Crew(
            programs,
            settings=self._settings,
            clock=self._clock,
            journal=self._journal,
            luck=luck,
            held=self._held,
            launch=self._launch,
            on_change=self._changed,
        )

    def attach(self, *, reread: Reread, own_log: ChildLog, lock: FileLock) -> None:
        """Say how the configuration is read again, what else writes a log by it, and what keeps others out."""
        self._source.reread = reread
        self._own_logs.append(own_log)
        self._lock = lock

    async def run(self) -> int:
        """Run until asked to stop; return the exit code."""
        become_subreaper()
        try:
            await self._open()
            self._greet()
            self._notifier.ready()
            self._jobs.start(self._clock.utc_now())
            await self._supervise()
        finally:
            await self._control.close()
            self.close()
        return self._exit_code

    async def _open(self) -> None:
        try:
            self._write_settings(self._settings)
            await self._control.start()
        except OSError as error:
            right = "make room, or give a folder that can be written"
            raise RetryLater(str(error), where=str(self._state_dir), key="state.dir", right=right) from error

    def _write_settings(self, settings: Settings) -> None:
        write_atomic(self._state_dir / SETTINGS_FILE, config.dump(settings), mode=0o600)

    async def _keep_state_folder(self) -> None:
        """Make anew what somebody has removed: without the lock a second orchestrator would start, without the socket
        nobody is heard, without the settings no child starts. Whoever came first in the meantime stays."""
        if self._lock is None or self._has_state_folder(self._lock):
            return
        if not self._lost:
            log.error("state_folder_lost", folder=str(self._state_dir))
        self._lost = True
        try:
            make_folder(self._state_dir)
            if not self._lock.keeps_others_out() and not self._locked_anew(self._lock):
                return
            write_holds(self._state_dir, self._crew.held())
            self._crew.note_families()
            await self._control.close()
            await self._open()
        except (TickerdError, OSError) as error:  # a disk that is away: tried again at the next tick
            log.warning("state_folder_unmended", error=str(error))
            return
        self._lost = False
        log.warning("state_folder_mended", folder=str(self._state_dir))
        for name in self._crew.members:  # one that has failed for want of its settings need not wait
            self._crew.feed(name, Reloaded())

    def _has_state_folder(self, lock: FileLock) -> bool:
        return lock.keeps_others_out() and self._control.is_there() and (self._state_dir / SETTINGS_FILE).exists()

    def _locked_anew(self, lock: FileLock) -> bool:
        lock.release()
        if lock.try_acquire():
            lock.write_owner(str(os.getpid()))
            return True
        log.error("orchestrator_superseded", pid=lock.read_owner())
        self._lock = None
        self._exit_code = EXIT_TRY_LATER
        self.request_stop()
        return False

    def close(self) -> None:
        """Let go of everything; whoever still runs is killed."""
        self._crew.kill_all()
        self._crew.close()
        self._alerts.command.close()
        self._jobs.stop()

    def request_stop(self) -> None:
        """Ask everybody to leave; however often this is called, they have their time."""
        self._stop.set()

    def interrupt(self) -> None:
        """Somebody at the terminal: the first call asks everybody to leave, any further one ends them at once."""
        if self._stop.is_set():
            self._crew.kill_all()
            self._preparation.kill()
        self._stop.set()

    def status(self) -> dict[str, Any]:
        """Return the `status` document."""
        return status.document(self._snapshot())

    def _snapshot(self) -> Snapshot:
        now = self._clock.utc_now()
        return Snapshot(
            now=now,
            now_s=self._clock.monotonic_s(),
            state=self._state,
            pid=os.getpid(),
            since=self._since,
            since_s=self._since_s,
            market=status.market(self._calendar, now),
            members=self._crew.members,
            database=self._database,
            own_logs=tuple(self._own_logs),
            journal_failed=self._journal.failed if self._journal.disk_refuses else 0,
        )

    def tick(self) -> None:
        """Bring everything one step nearer to what should be true now."""
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        self._notice_jumps(now, now_s)
        try:
            self._follow_market(now)
            self._follow_plan(now, now_s)
            self._tell(now, now_s)
            self._plan_fault = ""
        except TickerdError as error:  # the calendar's rules end: what runs goes on as it is
            if self._plan_fault != str(error):
                self._plan_fault = str(error)
                log.error("plan_failed", error=str(error))
        self._crew.tick()
        if now_s - self._last_measure_s >= MEASURE_S:
            self._last_measure_s = now_s
            self._crew.measure()
        self._reaper.reap(now_s)
        self._notifier.send({"WATCHDOG": "1"})

    async def _supervise(self) -> None:
        preparing = tasks.spawn(self._prepare(), name="prepare", on_error=self._prepare_crashed)
        while not self._stop.is_set():
            self.tick()
            await self._keep_state_folder()
            await wait(self._stop, TICK_S)
        await self._wind_down(preparing)

    async def _wind_down(self, preparing: asyncio.Task[Any]) -> None:
        """All children leave side by side; each one's ladder ends within stop_timeout_s."""
        self._state = "stopping"
        self._notifier.stopping(within_s=self._settings.supervisor.stop_timeout_s + STOP_MARGIN_S)
        log.info("orchestrator_stopping")
        self._journal_own("orchestrator_stopping")
        self._crew.dismiss("the orchestrator stops")
        await asyncio.wait((preparing,))
        await self._crew.gone.wait()
        log.info("orchestrator_stopped", exit_code=self._exit_code)
        self._journal_own("orchestrator_stopped")

    async def _prepare(self) -> None:
        await leftovers.clear(self._state_dir, clock=self._clock, patience_s=self._settings.supervisor.stop_timeout_s)
        self._crew.note_families()
        attempt = await self._preparation.run(self._stop)
        if attempt is not None and attempt.done:
            self._prepared, self._state = True, "running"
            self._set_reachable(True)
            self.tick()
        elif attempt is not None:
            self._refuse(attempt)

    def _prepare_crashed(self, error: BaseException) -> None:
        log.error("preparation_crashed", error=repr(error))
        self._exit_code = EXIT_FAILED
        self.request_stop()

    def _refuse(self, attempt: Attempt) -> None:
        """Hand on the one line that says what a person must change."""
        log.error("preparation_refused", exit_code=attempt.returncode, detail=attempt.said)
        LineSink(sys.stderr).msg(attempt.said)
        self._exit_code = EXIT_CONFIG
        self.request_stop()

    def _launch(self, module: str, notify: str) -> Launch:
        return launch(
            module,
            environ=self._environ,
            folder=self._folder,
            settings=self._state_dir / SETTINGS_FILE,
            notify=notify,
        )

    def _notice_jumps(self, now: datetime, now_s: float) -> None:
        """A jump of the wall clock (also a suspend, in which the monotonic one stands) or a stand-still of our own."""
        offset_s = self._offset_s()
        jump_s, self._wall_offset_s = offset_s - self._wall_offset_s, offset_s
        gap_s, self._last_tick_s = now_s - self._last_tick_s, now_s
        if abs(jump_s) > JUMP_S:
            log.warning("clock_jumped", jump_s=round(jump_s, 3))
            self._jobs.remake(now)
        if gap_s > TICK_S + JUMP_S:
            log.warning("loop_stalled", gap_s=round(gap_s, 3))
        if abs(jump_s) > JUMP_S or gap_s > TICK_S + JUMP_S:
            self._resumed_s = now_s
            self._crew.resume()

    def _offset_s(self) -> float:
        return self._clock.utc_now().timestamp() - self._clock.monotonic_s()

    def _follow_market(self, now: datetime) -> None:
        is_open = self._calendar.session_at(now) is not None
        if is_open is self._market_open:
            return
        self._market_open = is_open
        market = status.market(self._calendar, now)
        keys = {key: value for key, value in market.items() if key != "state"}
        zone = self._settings.market.timezone
        if is_open:
            log.info("market_opened", **keys, timezone=zone)
        else:
            log.info("market_closed", **keys, timezone=zone)

    def _tell(self, now: datetime, now_s: float) -> None:
        """Tell people what is amiss, and whoever supervises us how we are: at each change, else each TELL_S."""
        if now_s < self._tell_s:
            return
        self._tell_s = now_s + TELL_S
        document = self.status()
        self._alerts.tell(document["alerts"], self._settings.alerts, now=now, now_s=now_s)
        self._notifier.status(f"market {document['market']['state']}, scanners {status.in_words(document)}")

    def _follow_plan(self, now: datetime, now_s: float) -> None:
        daily = self._crew.members.get(plan.DAILY)
        active = daily is not None and daily.child.state in (State.STARTING, State.RUNNING)
        wants = plan.wanted(
            self._calendar,
            self._settings,
            now,
            plan.DailyState(done=self._daily_done, active=active),
            backup_done=self._backup_done,
            proxy_file=Path(self._settings.proxies.file).exists(),
        )
        if not self._prepared:
            away = self._database.reason
            reason = f"waits for the database: {away}" if away else "the database is being prepared"
            wants = {name: replace(want, wanted=False, reason=reason) for name, want in wants.items()}
        self._crew.want(wants)
        self._remember_holds()  # released by a new session: a later start must not find it again
        for name, limit_s in plan.stall_limits(self._calendar, self._settings, now).items():
            self._judge_data(name, limit_s, now_s)

    def _judge_data(self, name: str, limit_s: float, now_s: float) -> None:
        """A scanner that says that its upstream is away is not hung: a restart would not help."""
        member = self._crew.members.get(name)
        if member is None or member.child.ready_s is None or member.heard.facts.get("upstream") != "reachable":
            return
        silent_s = now_s - max(member.child.ready_s, member.heard.data_s or 0.0, self._resumed_s)
        if silent_s > limit_s:
            self._crew.feed(name, Stalled(f"no data for {silent_s:.0f} s"))

    def _changed(self, change: Change) -> None:
        self._tell_s = -math.inf
        if change.process == plan.DAILY and change.to_state is State.STARTING:
            self._daily_begun = self._crew.members[plan.DAILY].child.want.session
        if change.process == plan.DAILY and change.event == "scanner_finished":
            self._daily_done = date.fromisoformat(self._daily_begun)
        if change.process == plan.BACKUP and change.to_state is State.STARTING:
            self._backup_begun = plan.backup_due_at(self._calendar, self._settings, self._clock.utc_now())
        if change.process == plan.BACKUP and change.event == "scanner_finished":
            self._backup_done = self._backup_begun
        if change.process == plan.RECORDER and not self._stop.is_set():
            away = change.exit_code in (EXIT_TRY_LATER, EXIT_UNREACHABLE)
            if away or change.to_state is State.RUNNING:
                self._set_reachable(not away, change.detail)

    def _set_reachable(self, reachable: bool, reason: str = "") -> None:
        changed = reachable is not self._database.reachable
        since = self._clock.utc_now() if changed else self._database.since
        self._database = replace(self._database, reachable=reachable, reason=reason, since=since)

    def _handlers(self) -> dict[str, Handler]:
        return {
            "status": lambda _name: self.status(),
            "start": lambda name: self._manual(name, Start()),
            "stop": lambda name: self._manual(name, Stop()),
            "restart": lambda name: self._manual(name, Restart()),
            "reload": lambda _name: self.reload(),
        }

    def reload(self) -> dict[str, Any]:
        """Apply the configuration as it stands now; TickerdError if it cannot be used, and nothing changes."""
        self._refuse_while_stopping()
        self._notifier.reloading(monotonic_s=self._clock.monotonic_s())
        try:
            return self._apply(*self._source.read_again(self._settings))
        except TickerdError as error:
            log.error("reload_refused", error=str(error))
            raise
        finally:
            self._notifier.ready()

    def _apply(self, found: Reading, change: SettingsChange) -> dict[str, Any]:
        check_log_folder(change.settings.logging)
        with writing(self._state_dir / SETTINGS_FILE):
            self._write_settings(change.settings)
        self._settings, self._source.reading, self._calendar = change.settings, found, found.calendar
        self._environ = _environ_of(self._environ, found.loaded)
        self._crew.configure(self._settings)
        for own_log in self._own_logs:
            own_log.configure(self._settings.logging)
        log.info("settings_reloaded", keys=change.keys, processes=sorted(change.processes), later=change.later_keys)
        self._journal_own("settings_reloaded", detail=", ".join(change.keys))
        members = self._crew.members
        ends = [name for name in members if name in change.processes and members[name].child.state in RESTARTED]
        limits = any(key.startswith("supervisor.") for key in change.keys)
        for name in members:
            self._crew.feed(name, Reloaded(changed=name in change.processes, limits=limits))
        self.tick()
        return {"version": status.VERSION, **change.document(), "restarted": ends}

    def _manual(self, name: str, event: Manual) -> dict[str, Any]:
        if name not in self._crew.members:
            raise Refused(f"unknown process {name!r}; known: {', '.join(self._crew.members)}")
        self._refuse_while_stopping()
        log.info("command_received", command=type(event).__name__.lower(), process=name)
        self._crew.feed(name, event)
        self._remember_holds()
        child = self._crew.members[name].child
        return {"version": status.VERSION, "name": name, "state": str(child.state), "reason": child.reason}

    def _remember_holds(self) -> None:
        held = self._crew.held()
        if held != self._held:
            self._held = held
            write_holds(self._state_dir, held)

    def _refuse_while_stopping(self) -> None:
        if self._stop.is_set():
            raise Refused("the orchestrator stops; start it again with `tickerd run`")

    def _greet(self) -> None:
        market, daily = self._settings.market, self._settings.daily
        log.info(
            "orchestrator_started",
            at=utc_text(self._since),
            calendar=market.calendar,
            opens=market.open,
            closes=market.close,
            timezone=market.timezone,
            daily_at=daily.at,
            daily_enabled=daily.enabled,
        )
        self._journal_own("orchestrator_started")

    def _journal_own(self, event: str, *, detail: str | None = None) -> None:
        self._journal.write_own(event, pid=os.getpid(), at=self._clock.utc_now(), detail=detail)

    def _report_status(self) -> None:
        document = self.status()
        scanners = status.in_words(document)
        log.info(
            "status_reported",
            at=utc_text(self._clock.utc_now()),
            timezone=self._settings.market.timezone,
            scanners=scanners,
            coverage=document["coverage"],
        )


def _environ_of(environ: Mapping[str, str], loaded: Loaded) -> Mapping[str, str]:
    """Children and the alerts' command find the configuration that this daemon has."""
    return {**environ, "TICKERD_CONFIG": str(loaded.file)} if loaded.file else environ
