from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.clock import SystemClock
from daemon.process import Launch, Process, launch
from tests.fix_daemon import ROOT, is_alive, stub_environ

CLOCK = SystemClock()


class Child:
    """A started process, what it wrote and how it ended."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.output = b""
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        start = Launch(arguments=arguments, environ=dict(os.environ), folder=folder)
        self.process = Process(start, on_exit=self.ended.set_result, on_output=self._add)

    def _add(self, chunk: bytes) -> None:
        self.output += chunk

    async def said(self, text: bytes) -> None:
        while text not in self.output:
            await CLOCK.sleep(0.01)

    async def end(self) -> int:
        return await asyncio.wait_for(self.ended, 10)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_the_exit_code_and_both_streams_come_through(tmp_path: Path) -> None:
    child = Child(python("import sys; print('out', flush=True); sys.stderr.write('err'); sys.exit(7)"), tmp_path)
    assert await child.end() == 7
    assert child.output == b"out\nerr"


async def test_a_signal_is_a_negative_code(tmp_path: Path) -> None:
    child = Child(python("import os; os.kill(os.getpid(), 11)"), tmp_path)
    assert await child.end() == -11


async def test_an_exit_is_seen_although_a_grandchild_holds_the_pipe_and_the_grandchild_is_ended(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    child = Child(python(code), tmp_path)
    before_s = CLOCK.monotonic_s()
    assert await child.end() == 0
    assert CLOCK.monotonic_s() - before_s < 5
    grandchild = int(child.output)
    async with asyncio.timeout(5):
        while is_alive(grandchild):
            await CLOCK.sleep(0.01)


async def test_a_stopped_child_is_continued_so_that_it_hears_the_request_to_end(tmp_path: Path) -> None:
    child = Child(python("print('up', flush=True); input()"), tmp_path)
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3));"
        "print('up', flush=True); signal.pause()"
    )
    await child.end()
    child = Child(python(code), tmp_path)
    await child.said(b"up")
    os.kill(child.process.pid, signal.SIGSTOP)
    child.process.terminate()
    assert await child.end() == 3


async def test_a_hung_child_writes_its_stacks_before_it_dies(tmp_path: Path) -> None:
    code = "import faulthandler, signal; faulthandler.enable(); print('up', flush=True); signal.pause()"
    child = Child(python(code), tmp_path)
    await child.said(b"up")
    child.process.abort()
    assert await child.end() == -signal.SIGABRT
    assert b"Current thread" in child.output


async def test_a_child_that_writes_without_end_is_not_blocked_and_the_loop_goes_on(tmp_path: Path) -> None:
    child = Child(python("import os\nfor _ in range(500): os.write(1, b'x' * 65536)"), tmp_path)
    longest_s, last_s = 0.0, CLOCK.monotonic_s()
    while not child.ended.done():
        await CLOCK.sleep(0.001)
        longest_s, last_s = max(longest_s, CLOCK.monotonic_s() - last_s), CLOCK.monotonic_s()
    assert len(child.output) == 500 * 65536
    assert longest_s < 1.0


async def test_signals_to_a_child_that_has_ended_go_nowhere(tmp_path: Path) -> None:
    child = Child(python(""), tmp_path)
    await child.end()
    child.process.terminate()
    child.process.kill()


async def test_a_program_that_does_not_exist_is_an_error_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            Child(["/no/such/program"], tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_without_a_pidfd_exits_are_still_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int) -> int:
        raise OSError("no descriptor left")

    monkeypatch.setattr(os, "pidfd_open", refused)
    child = Child(python("import sys; sys.exit(5)"), tmp_path)
    assert await child.end() == 5


def test_a_child_gets_its_parent_its_settings_and_no_proxy(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "HTTPS_PROXY": "http://x", "no_proxy": "y", "NOTIFY_SOCKET": "/up", "PYTHONPATH": "/more"}
    start = launch("scanners.prices", environ=environ, folder=tmp_path, settings=tmp_path / "s.json", notify="@a")
    assert start.arguments == (sys.executable, "-P", "-m", "core.child", "scanners.prices")
    assert start.environ == {
        "HOME": "/h",
        "NOTIFY_SOCKET": "@a",
        "PYTHONPATH": f"{ROOT}:/more",
        "PYTHONUNBUFFERED": "1",
        "TICKERD_PARENT_PID": str(os.getpid()),
        "TICKERD_SETTINGS": str(tmp_path / "s.json"),
    }


async def test_a_child_finds_the_packages_from_any_folder(tmp_path: Path) -> None:
    start = launch("stub_crashes", environ=stub_environ(), folder=tmp_path, settings=tmp_path, notify="")
    said = b""

    def add(chunk: bytes) -> None:
        nonlocal said
        said += chunk

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    Process(start, on_exit=ended.set_result, on_output=add)
    assert await asyncio.wait_for(ended, 10) == 1
    assert b"RuntimeError: no luck" in said
