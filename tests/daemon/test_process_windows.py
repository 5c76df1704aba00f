from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

assert sys.platform == "win32"

from core.clock import SystemClock
from daemon.beats_windows import BeatPipes
from daemon.launch import Launch, supervised
from daemon.process_windows import KILLED, Process, as_returncode
from daemon.reports import Report
from tests.fix_daemon import ROOT, stub_environ, wait_until

CLOCK = SystemClock()


class Child:
    """A started process, what it wrote and how it ended."""

    def __init__(self, arguments: Sequence[str], folder: Path, *, beats: BeatPipes | None = None) -> None:
        self.output = bytearray()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        start = Launch(arguments=arguments, environ=stub_environ(), folder=folder)
        self.process = Process(start, on_exit=self.ended.set_result, on_output=self._add, beats=beats)

    def _add(self, chunk: bytes) -> None:
        self.output += chunk

    async def said(self, text: bytes) -> None:
        async with asyncio.timeout(60):
            while text not in self.output:
                await CLOCK.sleep(0.01)

    async def end(self, *, within_s: float = 20) -> int:
        return await asyncio.wait_for(self.ended, within_s)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def program(folder: Path, code: str) -> list[str]:
    """A module that runs under our bootstrap."""
    (folder / "child_of_test.py").write_text(code, encoding="utf-8")
    return [word.replace("-P", "-B") for word in supervised("child_of_test")]


async def test_the_exit_code_and_both_streams_come_through(tmp_path: Path) -> None:
    child = Child(python("import sys; print('out', flush=True); sys.stderr.write('err'); sys.exit(7)"), tmp_path)
    assert await child.end() == 7
    assert child.output.replace(b"\r\n", b"\n") == b"out\nerr"
    assert child.process.survivors == 0


async def test_a_child_asked_to_stop_ends_in_its_own_way(tmp_path: Path) -> None:
    body = "print('up', flush=True)\n    await stop.wait()\n    print('flushed', flush=True)\n    return 5\n"
    code = (
        f"from core.program import run\nasync def main(settings, stop, notifier):\n    {body}run(main, service='x')\n"
    )
    child = Child(program(tmp_path, code + "raise SystemExit(5)"), tmp_path)
    await child.said(b"up")
    child.process.ask()
    assert await child.end() == 5
    assert b"flushed" in child.output


async def test_a_child_without_a_handler_of_its_own_ends_too(tmp_path: Path) -> None:
    child = Child(program(tmp_path, "print('up', flush=True)\nwhile True: pass"), tmp_path)
    await child.said(b"up")
    child.process.terminate()
    assert await child.end() == 128 + 15


async def test_a_hung_child_writes_its_stacks_before_it_ends(tmp_path: Path) -> None:
    code = "import threading\nprint('up', flush=True)\nthreading.Event().wait()"
    child = Child(program(tmp_path, code), tmp_path)
    await child.said(b"up")
    child.process.abort()
    assert await child.end() == 3
    assert b"child_of_test.py" in child.output


async def test_a_killed_child_takes_its_kin_with_it_and_counts_as_killed(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print('helper', helper.pid, flush=True)\ninput()"
    )
    child = Child(python(code), tmp_path)
    await child.said(b"\n")
    helper = int(child.output.split()[1])
    assert set(child.process.look()) == {child.process.pid, helper}
    child.process.kill()
    assert await child.end() == -9
    wait_until(lambda: not psutil.pid_exists(helper))


async def test_an_exit_is_seen_although_a_grandchild_holds_the_pipe_and_the_grandchild_is_ended(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(helper.pid, flush=True)"
    )
    child = Child(python(code), tmp_path)
    assert await child.end() == 0
    helper = int(child.output)
    assert child.process.survivors == 1
    wait_until(lambda: not psutil.pid_exists(helper))


def test_a_child_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    """The parent here is a process of its own; nothing but the system itself can end the child."""
    code = (
        "import asyncio, os, sys\nfrom pathlib import Path\n"
        "from daemon.launch import Launch\nfrom daemon.process_windows import Process\n"
        "async def main():\n"
        "    start = Launch(arguments=[sys.executable, '-c', 'import time; time.sleep(60)'], environ=os.environ,\n"
        "                   folder=Path('.'))\n"
        "    child = Process(start, on_exit=print, on_output=print)\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen(python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(child), within_s=60)


async def test_a_child_that_writes_without_end_is_not_blocked_and_the_loop_goes_on(tmp_path: Path) -> None:
    child = Child(python("import os\nfor _ in range(500): os.write(1, b'x' * 65536)"), tmp_path)
    longest_s, last_s = 0.0, CLOCK.monotonic_s()
    while not child.ended.done():
        await CLOCK.sleep(0.001)
        longest_s, last_s = max(longest_s, CLOCK.monotonic_s() - last_s), CLOCK.monotonic_s()
    assert len(child.output) == 500 * 65536
    assert longest_s < 30.0


async def test_what_is_asked_of_a_child_that_has_ended_goes_nowhere(tmp_path: Path) -> None:
    child = Child(python(""), tmp_path)
    assert await child.end() == 0
    child.process.ask()
    child.process.abort()
    child.process.kill()
    assert child.ended.result() == 0


async def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child([str(tmp_path / "none.exe")], tmp_path)


async def test_heartbeats_come_over_a_pipe_of_the_childs_own(tmp_path: Path) -> None:
    heard: list[tuple[int, Report]] = []
    pids: set[int] = set()
    beats = BeatPipes(is_child=pids.__contains__, on_report=lambda pid, report, bad: heard.append((pid, report)))
    child = Child([word.replace("-P", "-B") for word in supervised("stub_beats")], tmp_path, beats=beats)
    pids.add(child.process.pid)
    async with asyncio.timeout(60):
        while not any(report.beat for _, report in heard):
            await CLOCK.sleep(0.01)
    child.process.ask()
    assert await child.end() == 0
    assert {pid for pid, _ in heard} == {child.process.pid}
    assert heard[0][1].ready
    assert next(report for _, report in heard if report.beat).facts == {"origin": "practice", "upstream": "reachable"}


@pytest.mark.parametrize(("code", "said"), [(0, 0), (78, 78), (KILLED, -9), (0xC000_0005, -11), (0xC000_0409, -11)])
def test_an_end_from_outside_is_negative_as_elsewhere(code: int, said: int) -> None:
    assert as_returncode(code) == said
