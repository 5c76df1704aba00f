"""The daemon's loop: each second, what should be true now? Holds no wish of its own: plan and state machines decide."""

from __future__ import annotations

import asyncio
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
from core.files import read_text, write_atomic
from core.logs import LineSink, get_logger
from core.notify import Notifier
from daemon import plan, status
from daemon.child import Change, Manual, Restart, Stalled, Start, State, Stop
from daemon.control import ControlServer, Handler, Refused
from daemon.crew import PROGRAMS, Crew, Program
from daemon.holds import read_holds, write_holds
from daemon.jobs import Jobs
from daemon.journal import Journal
from daemon.prepare import MODULE, Attempt, Preparation, wait
from daemon.process import Launch, launch
from daemon.status import Snapshot
from market.sessions import build_calendar

TICK_S = 1.0
MEASURE_S = 5.0
JUMP_S = 5.0  # a clock or a loop that is off by more has jumped; less is slewing or load
STATUS_INTERVAL_S = 300
SETTINGS_FILE = "settings.json"

log = get_logger(__name__)


class Orchestrator:
    """One run of the daemon; the caller holds the lock of the state folder."""

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
        self._environ = {**environ, "TICKERD_CONFIG": str(loaded.file)} if loaded.file else environ
        self._clock: Clock = clock or SystemClock()
        self._folder = loaded.file.parent if loaded.file else Path.cwd()
        self._state_dir = Path(self._settings.state.dir)
        self._calendar = build_calendar(self._settings.market, read=read_text)
        self._journal = Journal(self._state_dir)
        self._notifier = Notifier.from_environment(environ)
        self._stop = asyncio.Event()
        self._exit_code = EXIT_DONE
        self._state, self._since = "starting", self._clock.utc_now()
        self._prepared = False
        self._daily_begun = ""
        self._daily_done: date | None = None
        self._backup_begun: datetime | None = None
        self._backup_done: datetime | None = None
        self._market_open: bool | None = None
        self._plan_fault = ""
        self._alerts: dict[tuple[str, str | None], str] = {}
        self._database = status.Database(url=self._settings.database.url, reachable=None)
        self._wall_offset_s = self._offset_s()
        self._last_tick_s = self._last_measure_s = self._clock.monotonic_s()
        self._jobs = Jobs(self._report_status, interval_s=STATUS_INTERVAL_S, zone_name=self._settings.market.timezone)
        self._preparation = Preparation(
            self._launch(prepare_module, ""),
            settings=self._settings,
            luck=luck,
            on_attempt=lambda attempt: self._set_reachable(False, attempt.said),
        )
        if not self._settings.backup.enabled:
            programs = {name: program for name, program in programs.items() if name != plan.BACKUP}
        self._crew = Crew(
            programs,
            settings=self._settings,
            clock=self._clock,
            journal=self._journal,
            luck=luck,
            held=read_holds(self._state_dir),
            launch=self._launch,
            on_change=self._changed,
        )

    async def run(self) -> int:
        """Run until asked to stop; return the exit code."""
        control = ControlServer(self._state_dir, self._handlers())
        try:
            await self._open(control)
            self._greet()
            self._notifier.ready()
            self._jobs.start(self._clock.utc_now())
            await self._supervise()
        finally:
            await control.close()
            self.close()
        return self._exit_code

    async def _open(self, control: ControlServer) -> None:
        try:
            write_atomic(self._state_dir / SETTINGS_FILE, config.dump(self._settings), mode=0o600)
            await control.start()
        except OSError as error:
            right = "make room, or give a folder that can be written"
            raise RetryLater(str(error), where=str(self._state_dir), key="state.dir", right=right) from error

    def close(self) -> None:
        """Let go of everything; whoever still runs is killed."""
        self._crew.kill_all()
        self._crew.close()
        self._jobs.stop()

    def request_stop(self) -> None:
        """The first call asks everybody to leave; any further one ends them at once."""
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
            market=status.market(self._calendar, now),
            members=self._crew.members,
            database=self._database,
            journal_failed=self._journal.failed,
        )

    def tick(self) -> None:
        """Bring everything one step nearer to what should be true now."""
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        self._notice_jumps(now, now_s)
        try:
            self._follow_market(now)
            self._follow_plan(now, now_s)
            self._tell_alerts()
            self._plan_fault = ""
        except TickerdError as error:  # the calendar's rules end: what runs goes on as it is
            if self._plan_fault != str(error):
                self._plan_fault = str(error)
                log.error("plan_failed", error=str(error))
        self._crew.tick()
        if now_s - self._last_measure_s >= MEASURE_S:
            self._last_measure_s = now_s
            self._crew.measure()
        self._notifier.send({"WATCHDOG": "1"})

    async def _supervise(self) -> None:
        preparing = tasks.spawn(self._prepare(), name="prepare", on_error=self._prepare_crashed)
        while not self._stop.is_set():
            self.tick()
            await wait(self._stop, TICK_S)
        await self._wind_down(preparing)

    async def _wind_down(self, preparing: asyncio.Task[Any]) -> None:
        """All children leave side by side; each one's ladder ends within stop_timeout_s."""
        self._state = "stopping"
        self._notifier.stopping()
        log.info("orchestrator_stopping")
        self._journal_own("orchestrator_stopping")
        self._crew.dismiss("the orchestrator stops")
        await asyncio.wait((preparing,))
        await self._crew.gone.wait()
        log.info("orchestrator_stopped", exit_code=self._exit_code)
        self._journal_own("orchestrator_stopped")

    async def _prepare(self) -> None:
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
            self._crew.resume()

    def _offset_s(self) -> float:
        return self._clock.utc_now().timestamp() - self._clock.monotonic_s()

    def _follow_market(self, now: datetime) -> None:
        market = status.market(self._calendar, now)
        is_open = market["state"] == "open"
        if is_open is self._market_open:
            return
        self._market_open = is_open
        keys = {key: value for key, value in market.items() if key != "state"}
        zone = self._settings.market.timezone
        if is_open:
            log.info("market_opened", **keys, timezone=zone)
        else:
            log.info("market_closed", **keys, timezone=zone)

    def _tell_alerts(self) -> None:
        """Log each alert when it comes and when it goes."""
        alerts = {(each["alert"], each["process"]): each["text"] for each in status.alerts(self._snapshot())}
        for name, process in alerts.keys() - self._alerts.keys():
            log.warning("alert_raised", alert=name, process=process, detail=alerts[name, process])
        for name, process in self._alerts.keys() - alerts.keys():
            log.info("alert_cleared", alert=name, process=process)
        self._alerts = alerts

    def _follow_plan(self, now: datetime, now_s: float) -> None:
        daily = self._crew.members.get(plan.DAILY)
        active = daily is not None and daily.child.state in (State.STARTING, State.RUNNING)
        wants = plan.wanted(
            self._calendar,
            self._settings,
            now,
            plan.DailyState(done=self._daily_done, active=active),
            backup_done=self._backup_done,
        )
        if not self._prepared:
            away = self._database.reason
            reason = f"waits for the database: {away}" if away else "the database is being prepared"
            wants = {name: replace(want, wanted=False, reason=reason) for name, want in wants.items()}
        self._crew.want(wants)
        for name, limit_s in plan.stall_limits(self._calendar, self._settings, now).items():
            self._judge_data(name, limit_s, now_s)

    def _judge_data(self, name: str, limit_s: float, now_s: float) -> None:
        """A scanner that says that its upstream is away is not hung: a restart would not help."""
        member = self._crew.members.get(name)
        if member is None or member.child.ready_s is None or member.heard.facts.get("upstream") != "reachable":
            return
        silent_s = now_s - max(member.child.ready_s, member.heard.data_s or 0.0)
        if silent_s > limit_s:
            self._crew.feed(name, Stalled(f"no data for {silent_s:.0f} s"))

    def _changed(self, change: Change) -> None:
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
        }

    def _manual(self, name: str, event: Manual) -> dict[str, Any]:
        if name not in self._crew.members:
            raise Refused(f"unknown process {name!r}; known: {', '.join(self._crew.members)}")
        if self._stop.is_set():
            raise Refused("the orchestrator stops; start it again with `tickerd run`")
        log.info("command_received", command=type(event).__name__.lower(), process=name)
        self._crew.feed(name, event)
        write_holds(self._state_dir, self._crew.held())
        child = self._crew.members[name].child
        return {"version": status.VERSION, "name": name, "state": str(child.state), "reason": child.reason}

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

    def _journal_own(self, event: str) -> None:
        self._journal.write_own(event, pid=os.getpid(), at=self._clock.utc_now())

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
        self._notifier.status(f"scanners: {scanners}")
