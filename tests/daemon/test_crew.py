from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.files import FileLock
from core.settings import Logging, Settings, Supervisor
from core.settings import State as StateSection
from daemon.crew import Crew, Program
from daemon.journal import Journal
from daemon.launch import Launch, launch
from daemon.lifecycle import Change, Start, State, Stop, Want
from daemon.resources import Usage
from tests.fix_daemon import is_alive, kill, stub_environ

CLOCK = SystemClock()
WANTED = Want(wanted=True, session="2026-11-23")


class AheadClock(SystemClock):
    """The machine's clock, set ahead."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s


class Scene:
    """A crew of stubs and the changes that it told."""

    def __init__(self, folder: Path, modules: Mapping[str, str], supervisor: Supervisor) -> None:
        self.changes: list[Change] = []
        self.on_change: Callable[[Change], None] = lambda _: None
        self.crew = Crew(
            {name: Program(module=module) for name, module in modules.items()},
            settings=Settings(
                state=StateSection(dir=str(folder)), logging=Logging(dir=str(folder)), supervisor=supervisor
            ),
            clock=CLOCK,
            journal=Journal(folder),
            luck=lambda: 0.5,
            held={},
            launch=lambda module, notify: self.start(module, notify, folder),
            on_change=self.told,
        )

    def told(self, change: Change) -> None:
        self.changes.append(change)
        self.on_change(change)

    def start(self, module: str, notify: str, folder: Path) -> Launch:
        return launch(module, environ=stub_environ(), folder=folder, settings=folder / "settings.json", notify=notify)

    async def reach(self, name: str, state: State, event: str = "") -> int:
        """Wait for the state (and the event); return the pid, 0 if there is none."""
        for _ in range(1500):
            seen = not event or any(change.event == event for change in self.changes if change.process == name)
            if self.crew.members[name].child.state is state and seen:
                return self.crew.members[name].child.pid or 0
            await CLOCK.sleep(0.01)
        raise AssertionError(f"{name} is {self.crew.members[name].child}")


@asynccontextmanager
async def scene(folder: Path, supervisor: Supervisor | None = None, **modules: str) -> AsyncIterator[Scene]:
    made = Scene(folder, modules, supervisor or Supervisor())
    try:
        yield made
    finally:
        made.crew.dismiss("the test is over")
        made.crew.kill_all()
        await made.crew.gone.wait()
        made.crew.close()


async def test_a_killed_child_is_running_again_with_a_new_pid(tmp_path: Path) -> None:
    async with scene(tmp_path, deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        first = await play.reach("deaf", State.RUNNING)
        kill(first)
        await play.reach("deaf", State.STARTING, "scanner_restarted")
        second = await play.reach("deaf", State.RUNNING)
        assert first != second
        assert not is_alive(first)
        member = play.crew.members["deaf"]
        assert member.last_exit is not None
        assert (member.last_exit.signal, member.child.restarts) == (9, 1)


async def test_a_child_that_does_not_hear_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    async with scene(tmp_path, Supervisor(stop_timeout_s=0.3), deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        pid = await play.reach("deaf", State.RUNNING)
        play.crew.feed("deaf", Stop())
        await play.reach("deaf", State.HELD)
        assert not is_alive(pid)
        assert (play.changes[-1].signal, play.changes[-1].cause) == (9, "operator")
        assert play.crew.held() == {"deaf": "2026-11-23"}
        play.crew.feed("deaf", Start())
        await play.reach("deaf", State.RUNNING)


async def test_a_child_that_stands_still_is_noticed_and_replaced(tmp_path: Path) -> None:
    async with scene(tmp_path, Supervisor(heartbeat_timeout_s=0.5), deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        pid = await play.reach("deaf", State.RUNNING)
        psutil.Process(pid).suspend()
        await play.reach("deaf", State.RUNNING, "scanner_restarted")
        hung = next(change for change in play.changes if change.event == "scanner_hung")
        assert (hung.cause, hung.detail) == ("no_beat", "no beat for 0.5 s")
        assert not is_alive(pid)


async def test_a_child_that_crashes_again_and_again_opens_its_breaker_and_its_last_line_says_why(
    tmp_path: Path,
) -> None:
    limits = Supervisor(breaker_count=2, backoff_max_s=2)
    async with scene(tmp_path, limits, crashes="stub_crashes") as play:
        play.crew.want({"crashes": WANTED})
        await play.reach("crashes", State.OPEN)
        assert play.changes[-1].detail == "exit code 1: RuntimeError: no luck"
        assert b"Traceback" in (tmp_path / "crashes.jsonl").read_bytes()


async def test_a_child_that_cannot_be_started_is_tried_again_later(tmp_path: Path) -> None:
    async with scene(tmp_path, gone="stub_deaf") as play:
        play.start = lambda module, notify, folder: Launch(arguments=["/no/such"], environ={}, folder=folder)  # type: ignore[method-assign]
        play.crew.want({"gone": WANTED})
        await play.reach("gone", State.BACKOFF)
        assert "could not be started: [Errno 2]" in play.crew.members["gone"].child.reason


async def test_what_a_child_says_of_itself_is_kept_and_its_memory_measured(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    async with scene(tmp_path, beats="stub_beats") as play:
        play.crew.want({"beats": WANTED})
        await play.reach("beats", State.RUNNING)
        member = play.crew.members["beats"]
        while not member.heard.coverage:
            await CLOCK.sleep(0.01)
        assert member.heard.coverage == {"price": {"fresh": 3, "total": 4}}
        assert member.heard.facts["origin"] == "practice"
        play.crew.measure()
        assert member.usage is not None
        assert 10 < member.usage.rss_mb < 100


async def test_too_much_memory_ends_a_child(tmp_path: Path) -> None:
    async with scene(tmp_path, Supervisor(memory_hard_mb=1), deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        await play.reach("deaf", State.RUNNING)
        play.crew.measure()
        await play.reach("deaf", State.RUNNING, "scanner_restarted")
        assert [change.cause for change in play.changes if change.event == "scanner_failed"] == ["memory"]


async def test_the_last_words_of_a_child_are_heard_before_its_exit(tmp_path: Path) -> None:
    async with scene(tmp_path, Supervisor(breaker_count=1), words="stub_last_words") as play:
        # What it sends stays in the socket until the exit is handled, as it may when both come at once.
        asyncio.get_running_loop().remove_reader(play.crew.beats._socket)
        play.crew.want({"words": WANTED})
        await play.reach("words", State.OPEN)
        assert [change.event for change in play.changes] == ["scanner_started", "scanner_ready", "breaker_opened"]
        assert play.crew.members["words"].heard.status == "farewell"


async def test_a_replacement_runs_before_anything_is_written_down(tmp_path: Path) -> None:
    """A slow disk must not hold up a start, and the events keep their order all the same."""
    async with scene(tmp_path, deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        await play.reach("deaf", State.RUNNING)
        seen: list[tuple[str, int | None]] = []
        play.on_change = lambda change: seen.append((change.event, play.crew.members["deaf"].child.pid))
        pid = play.crew.members["deaf"].child.pid
        assert pid is not None
        kill(pid)
        await play.reach("deaf", State.RUNNING, "scanner_restarted")
        assert [event for event, _ in seen] == ["scanner_failed", "scanner_restarted", "scanner_ready"]
        assert len({running for _, running in seen}) == 1
        assert seen[0][1] not in (None, pid)


async def test_what_a_child_left_behind_is_ended_and_counted_and_its_replacement_runs(tmp_path: Path) -> None:
    async with scene(tmp_path, leaves="stub_leaves") as play:
        play.crew.want({"leaves": WANTED})
        pid = await play.reach("leaves", State.RUNNING)
        in_group, in_session, orphan = map(int, (tmp_path / "left").read_text().split())
        play.crew.measure()
        noted = json.loads((tmp_path / "children.json").read_text())["families"]
        assert {each["pid"] for each in noted[0]["members"]} >= {pid, in_group, in_session}
        with capture_logs() as logs:
            kill(pid)
            await play.reach("leaves", State.RUNNING, "scanner_restarted")
        (told,) = [each for each in logs if each["event"] == "survivors_ended"]
        assert (told["process"], told["pid"]) == ("leaves", pid)
        assert told["survivors"] == play.crew.members["leaves"].survivors >= 2
        assert not is_alive(in_group)
        assert not is_alive(in_session)
        kill(orphan)


async def test_a_copy_that_nobody_here_started_keeps_a_second_one_out(tmp_path: Path) -> None:
    async with scene(tmp_path, Supervisor(backoff_max_s=0.1), deaf="stub_deaf") as play:
        lock = tmp_path / "children" / "deaf.lock"
        lock.parent.mkdir()
        with FileLock(lock):
            play.crew.want({"deaf": WANTED})
            await play.reach("deaf", State.BACKOFF)
            assert "another copy of it still runs" in play.crew.members["deaf"].child.reason
        await play.reach("deaf", State.RUNNING)


async def test_a_child_that_leaks_descriptors_is_renewed(tmp_path: Path) -> None:
    async with scene(tmp_path, leaks="stub_leaks") as play:
        play.crew.want({"leaks": WANTED})
        await play.reach("leaks", State.RUNNING)
        play.crew.measure()
        await play.reach("leaks", State.RUNNING, "scanner_restarted")
        failed = next(change for change in play.changes if change.event == "scanner_failed")
        assert failed.cause == "files"
        assert re.fullmatch(r"has (5[89]|6\d) of 64 files open", failed.detail)


async def test_a_stranger_cannot_say_that_a_child_is_ready(tmp_path: Path) -> None:
    async with scene(tmp_path, waits="stub_waits") as play:
        play.crew.want({"waits": WANTED})
        await play.reach("waits", State.STARTING)
        ready = "import socket, sys; socket.socket(1, 2).sendto(b'READY=1', sys.argv[1])"
        stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", ready, play.crew.beats.address)
        assert await stranger.wait() == 0
        play.crew.beats.receive()
        assert play.crew.beats.strangers == 1
        assert play.crew.members["waits"].child.state is State.STARTING


async def test_an_alarm_that_rings_after_a_stand_still_of_everybody_judges_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen container goes on with its alarms, before its children could beat."""
    async with scene(tmp_path, Supervisor(heartbeat_timeout_s=8), waits="stub_deaf") as play:
        member = play.crew.members["waits"]
        play.crew.want({"waits": WANTED})
        pid = await play.reach("waits", State.RUNNING)
        psutil.Process(pid).suspend()
        await CLOCK.sleep(0.1)
        play.crew.tick()
        ahead_s = 20.0
        monkeypatch.setattr(play.crew, "_clock", AheadClock(ahead_s))
        play.crew._ring(member)
        assert play.changes[-1].event == "scanner_ready"
        monkeypatch.setattr(play.crew, "_clock", AheadClock(ahead_s + 5))
        play.crew.tick()
        monkeypatch.setattr(play.crew, "_clock", AheadClock(ahead_s + 9))
        play.crew._ring(member)
        assert play.changes[-1].event == "scanner_hung"


async def test_a_child_that_computes_without_end_is_told_once(tmp_path: Path) -> None:
    async with scene(tmp_path, deaf="stub_deaf") as play:
        play.crew.want({"deaf": WANTED})
        await play.reach("deaf", State.RUNNING)
        member = play.crew.members["deaf"]
        with capture_logs() as logs:
            for busy_s in (55.0, 60.0, 65.0, 0.0, 60.0):
                play.crew._judge(member, Usage(rss_mb=9.0, cpu_s=busy_s, cpu_percent=100.0, busy_s=busy_s))
        assert [each["busy_s"] for each in logs if each["event"] == "cpu_spun"] == [60, 60]
        assert member.spins
