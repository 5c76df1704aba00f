from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.config import Loaded
from core.errors import RetryLater
from core.settings import Logging, Market, Settings
from core.settings import State as StateSection
from daemon.crew import Program
from daemon.lifecycle import State, Want
from daemon.orchestrator import Orchestrator
from tests.fix_daemon import CALM, KILL, PATIENCE_S, QUICK, is_alive, kill, running_daemon, stub_environ, wait_until

PAST_CALENDAR = "session,open_utc,close_utc,reason\n2026-01-05,2026-01-05T14:30:00Z,2026-01-05T21:00:00Z,\n"


def test_a_crash_is_mended_and_journalled(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        first = daemon.in_state("prices", "running")["pid"]
        kill(first)
        second = daemon.in_state("prices", "running", restarts=1)
        assert second["pid"] != first
        assert (second["last_exit"]["signal"], second["last_exit"]["cause"]) == (9, "signal")
        assert daemon.end() == 0
        told = [(each["event"], each["cause"]) for each in daemon.events() if each["process"] == "prices"]
    assert told == [
        ("scanner_started", "schedule"),
        ("scanner_ready", "schedule"),
        ("scanner_failed", "signal"),
        ("scanner_restarted", "signal"),
        ("scanner_ready", "signal"),
        ("scanner_stopping", "operator"),
        ("scanner_stopped", "operator"),
    ]
    events = daemon.events()
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert [each["event"] for each in events if each["process"] == "tickerd"] == [
        "orchestrator_started",
        "orchestrator_stopping",
        "orchestrator_stopped",
    ]


def test_the_status_shows_what_the_children_say(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        status = wait_until(lambda: (shown := daemon.status())["coverage"] and shown)
        assert status["coverage"] == {"price": {"fresh": 3, "total": 4}}
        assert status["database"] == {
            "url": f"sqlite:///{tmp_path}/tickerd.db",
            "origin": "practice",
            "reachable": True,
        }
        assert (status["state"], status["market"]["state"]) == ("running", "open")
        wanted = "unknown process 'x'; known: prices, recorder"
        assert daemon.ask("stop", "x") == {"error": wanted}


def test_all_children_leave_side_by_side(tmp_path: Path) -> None:
    deaf = {"prices": "stub_deaf", "metrics": "stub_deaf", "recorder": "stub_deaf"}
    with running_daemon(tmp_path, deaf, toml=QUICK.replace("stop_timeout_s = 2", "stop_timeout_s = 0.5")) as daemon:
        pids = [daemon.in_state(name, "running")["pid"] for name in deaf]
        assert daemon.end() == 0
        assert not any(is_alive(pid) for pid in pids)
        told = [each["event"] for each in daemon.events() if each["process"] in deaf]
        assert told[-6:] == ["scanner_stopping"] * 3 + ["scanner_stopped"] * 3


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    patient = QUICK.replace("stop_timeout_s = 2", "stop_timeout_s = 1000")
    with running_daemon(tmp_path, {"prices": "stub_deaf"}, toml=patient) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        daemon.popen.send_signal(signal.SIGINT)
        daemon.in_state("prices", "stopping")
        assert daemon.end(signal.SIGINT) == 0
        assert not is_alive(pid)


def test_no_child_outlives_a_killed_daemon_and_the_next_one_starts(tmp_path: Path) -> None:
    programs = {"prices": "stub_deaf", **CALM}
    with running_daemon(tmp_path, programs) as daemon:
        pids = [daemon.in_state(name, "running")["pid"] for name in programs]
        daemon.end(KILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids))
        seen = daemon.events()[-1]["seq"]
    with running_daemon(tmp_path, programs) as daemon:
        daemon.in_state("prices", "running")
        assert daemon.events()[seen]["seq"] == seen + 1


def test_a_manual_stop_outlives_the_daemon(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        assert daemon.ask("stop", "prices")["state"] == "stopping"
        daemon.in_state("prices", "held", wanted=False)
        holds = tmp_path / ".tickerd" / "holds.json"
        written = holds.stat().st_ino
        assert daemon.ask("stop", "prices")["state"] == "held"
        assert holds.stat().st_ino == written, "nothing has changed: the disk is not waited for"
        daemon.end(KILL)
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("recorder", "running")
        daemon.in_state("prices", "held")
        assert daemon.ask("start", "prices")["state"] == "starting"
        daemon.in_state("prices", "running")
        assert daemon.ask("restart", "prices")["state"] == "stopping"
        daemon.in_state("prices", "running")


def test_a_closed_market_runs_the_recorder_alone_and_an_owed_refresh_once(tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text(PAST_CALENDAR)
    programs = {"prices": "stub_beats", "daily": "stub_done", **CALM}
    toml = '[market]\ncalendar = "file:past.csv"\n[logging]\nformat = "text"\n'
    with running_daemon(tmp_path, programs, toml=toml) as daemon:
        daemon.in_state("recorder", "running")
        daily = wait_until(lambda: (found := daemon.process("daily"))["last_exit"] and found)
        assert (daily["state"], daily["wanted"], daily["last_exit"]["code"]) == ("waiting", False, 0)
        prices = daemon.process("prices")
        assert (prices["state"], prices["reason"]) == ("waiting", "the calendar lists no further session")
        assert "[MARKET] Market is CLOSED" in daemon.said
        wait_until(lambda: daemon.process("recorder")["rss_mb"])  # some ticks later
        assert [each["event"] for each in daemon.events()].count("scanner_started") == 2


def test_an_open_breaker_is_an_alert(tmp_path: Path) -> None:
    toml = QUICK + "breaker_count = 2\n"
    with running_daemon(tmp_path, {"prices": "stub_crashes", **CALM}, toml=toml) as daemon:
        daemon.in_state("prices", "open")
        (alert,) = daemon.status()["alerts"]
        assert (alert["alert"], alert["process"]) == ("breaker_open", "prices")
        assert alert["text"].endswith("exit code 1: RuntimeError: no luck")
        wait_until(lambda: f"\n[ALERT] {alert['text']}\n" in daemon.said)
        daemon.ask("stop", "prices")
        wait_until(lambda: "\n[ALERT] Over: breaker open\n" in daemon.said)


def test_a_database_that_is_away_at_the_start_is_told_while_the_daemon_waits(tmp_path: Path) -> None:
    with running_daemon(tmp_path, prepare="stub_later") as daemon:
        alert = wait_until(lambda: daemon.status()["alerts"])[0]
        assert alert["alert"] == "database_unreachable"
        assert alert["text"] == "tickerd: database: connection refused; start it"
        status = daemon.status()
        assert (status["state"], status["database"]["reachable"]) == ("starting", False)
        reason = "waits for the database: tickerd: database: connection refused; start it"
        daemon.in_state("recorder", "waiting", reason=reason)
        assert daemon.end() == 0


def test_a_recorder_whose_database_is_away_makes_the_database_unreachable(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"recorder": "stub_later"}) as daemon:
        daemon.in_state("recorder", "backoff")
        assert daemon.status()["database"]["reachable"] is False


def test_wrong_settings_of_the_database_end_the_daemon_with_78_and_one_line(tmp_path: Path) -> None:
    with running_daemon(tmp_path, prepare="stub_wrong_settings", toml=QUICK) as daemon:
        assert daemon.popen.wait(60) == 78
        assert "\ntickerd: database.url: no such place; give another\n" in daemon.said


def test_the_one_above_hears_ready_beats_and_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as above:
        above.bind(str(tmp_path / "notify"))
        above.settimeout(PATIENCE_S)
        with running_daemon(tmp_path, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as daemon:
            assert above.recv(1000) == b"READY=1"
            assert above.recv(1000) == b"STATUS=market open, scanners DEGRADED (starting)"
            assert above.recv(1000) == b"WATCHDOG=1"
            daemon.in_state("recorder", "running")
            wait_until(lambda: received(above) == b"STATUS=market open, scanners WAITING")
            assert daemon.end() == 0
            above.setblocking(False)
            heard = set()
            while message := received(above):
                heard.add(message)
    assert heard == {b"WATCHDOG=1", b"STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000"}  # 2 s to stop, and 5


def received(above: socket.socket) -> bytes:
    try:
        return above.recv(1000)
    except BlockingIOError:
        return b""


def test_the_daemon_is_small_and_knows_nothing_of_databases_and_scanners(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", "metrics": "stub_beats", **CALM}) as daemon:
        for name in ("prices", "metrics", "recorder"):
            daemon.in_state(name, "running")
        wait_until(lambda: daemon.process("prices")["rss_mb"])
        lines = Path(f"/proc/{daemon.popen.pid}/status").read_text().splitlines()
        rss_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    assert rss_kb <= 40 * 1024
    code = "import sys, daemon.main, daemon.client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=stub_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    forbidden = {
        "storage",
        "scanners",
        "yahoo",
        "simulator",
        "sqlalchemy",
        "pandas",
        "yfinance",
        "curl_cffi",
        "websockets",
    }
    assert not forbidden & {name.partition(".")[0] for name in done.stdout.split()}


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.now_s = datetime(2026, 11, 23, 15, 0, tzinfo=UTC), 5000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_now(self) -> datetime:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        self.pass_s(duration_s)

    def pass_s(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.now += timedelta(seconds=duration_s)


def built(folder: Path, clock: HandClock, programs: Mapping[str, Program] | None = None, **market: str) -> Orchestrator:
    settings = Settings(
        state=StateSection(dir=str(folder)),
        logging=Logging(dir=str(folder)),
        market=Market(**market),  # type: ignore[arg-type]
    )
    loaded = Loaded(settings=settings, sources={}, file=None)
    return Orchestrator(loaded, environ={}, clock=clock, programs=programs or {})


@contextmanager
def made(folder: Path, clock: HandClock, **market: str) -> Iterator[Orchestrator]:
    orchestrator = built(folder, clock, None, **market)
    try:
        yield orchestrator
    finally:
        orchestrator.close()


async def test_market_changes_are_told_once_and_follow_the_clock(tmp_path: Path) -> None:
    clock = HandClock()
    with made(tmp_path, clock) as orchestrator, capture_logs() as logs:
        orchestrator.tick()
        clock.pass_s(1)
        orchestrator.tick()
        clock.pass_s(3600 * 6)
        orchestrator.tick()
    events = [each["event"] for each in logs]
    assert events == ["market_opened", "loop_stalled", "market_closed", "alert_raised"]  # nobody prepares its database
    assert logs[2]["opens_at"] == "2026-11-24T14:30:00.000Z"


async def test_a_clock_that_jumps_is_noticed_and_one_that_is_slewed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remade: list[datetime] = []
    clock = HandClock()
    with made(tmp_path, clock, calendar="always") as orchestrator:
        monkeypatch.setattr(orchestrator._jobs, "remake", remade.append)
        orchestrator.tick()
        with capture_logs() as logs:
            for step_s in (-3600.0, 3600.0, 2.0):
                clock.now += timedelta(seconds=step_s)
                clock.pass_s(1)
                orchestrator.tick()
    assert [(each["event"], each["jump_s"]) for each in logs] == [("clock_jumped", -3600.0), ("clock_jumped", 3600.0)]
    assert len(remade) == 2


async def test_where_the_calendar_ends_what_runs_goes_on_and_the_fault_is_told_once(tmp_path: Path) -> None:
    clock = HandClock()
    with made(tmp_path, clock) as orchestrator, capture_logs() as logs:
        clock.now = datetime(2038, 6, 1, 15, 0, tzinfo=UTC)
        for _ in range(3):
            clock.pass_s(1)
            orchestrator.tick()
    assert [each["event"] for each in logs].count("plan_failed") == 1


@pytest.mark.parametrize("name", ["control.sock", "settings.json"])
async def test_a_state_folder_without_room_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "in the way").mkdir(parents=True)
    with pytest.raises(RetryLater, match=r"state\.dir"):
        await built(tmp_path, HandClock()).run()


@pytest.mark.parametrize(
    ("upstream", "state"),
    [("reachable", State.STOPPING), ("refusing", State.RUNNING), ("unreachable", State.RUNNING)],
)
async def test_silence_is_a_stall_only_while_the_upstream_answers(tmp_path: Path, upstream: str, state: State) -> None:
    clock = HandClock()
    orchestrator = built(tmp_path, clock, {"prices": Program(module="none")})
    prices = orchestrator._crew.members["prices"]
    prices.child = replace(
        prices.child, state=State.RUNNING, pid=1, ready_s=clock.now_s, want=Want(wanted=True), wake_s=clock.now_s + 999
    )
    prices.heard.facts = {"upstream": upstream}
    orchestrator._prepared = True
    clock.pass_s(181)  # four times the 45 s of prices.stall_timeout_s, and one
    orchestrator._follow_plan(clock.now, clock.now_s)
    assert prices.child.state is state
    orchestrator.close()
