from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from core.clock import SystemClock
from core.settings import Logging, Settings, Supervisor
from daemon.child import Change, Start, State, Stop, Want
from daemon.crew import Crew, Program
from daemon.journal import Journal
from daemon.process import Launch, launch
from tests.fix_daemon import is_alive, stub_environ

CLOCK = SystemClock()
WANTED = Want(wanted=True, session="2026-11-23")


class Scene:
    """A crew of stubs and the changes that it told."""

    def __init__(self, folder: Path, modules: Mapping[str, str], supervisor: Supervisor) -> None:
        self.changes: list[Change] = []
        self.crew = Crew(
            {name: Program(module=module) for name, module in modules.items()},
            settings=Settings(logging=Logging(dir=str(folder)), supervisor=supervisor),
            clock=CLOCK,
            journal=Journal(folder),
            luck=lambda: 0.5,
            held={},
            launch=lambda module, notify: self.start(module, notify, folder),
            on_change=self.changes.append,
        )

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
        os.kill(first, signal.SIGKILL)
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
        os.kill(pid, signal.SIGSTOP)
        await play.reach("deaf", State.RUNNING, "scanner_restarted")
        hung = next(change for change in play.changes if change.event == "scanner_hung")
        assert (hung.cause, hung.detail) == ("no_beat", "no beat for 0.5 s")
        assert not is_alive(pid)


async def test_a_child_that_crashes_again_and_again_opens_its_breaker_and_its_last_line_says_why(
    tmp_path: Path,
) -> None:
    limits = Supervisor(breaker_count=2, backoff_max_s=0.1)
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
        assert "could not be started: cannot be started: [Errno 2]" in play.crew.members["gone"].child.reason


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
