from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from core.clock import SystemClock
from daemon.launch import Launch, launch
from daemon.process import READ_BYTES, SPARE_DESCRIPTORS, Process, StillHeld, _locked
from tests.fix_daemon import is_alive, stub_environ

CLOCK = SystemClock()


class Child:
    """A started process, what it wrote and how it ended."""

    def __init__(self, arguments: Sequence[str], folder: Path, *, lock: Path | None = None) -> None:
        self.output = bytearray()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        start = Launch(arguments=arguments, environ=dict(os.environ), folder=folder)
        self.process = Process(start, on_exit=self.ended.set_result, on_output=self._add, lock=lock)

    def _add(self, chunk: bytes) -> None:
        self.output += chunk

    async def said(self, text: bytes) -> None:
        while text not in self.output:
            await CLOCK.sleep(0.01)

    async def end(self) -> int:
        return await asyncio.wait_for(self.ended, 60)


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
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    child = Child(python(code), tmp_path)
    assert await child.end() == 0
    grandchild = int(child.output)
    async with asyncio.timeout(60):
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
    turns = 0
    while not child.ended.done():
        await CLOCK.sleep(0)
        turns += 1
    assert len(child.output) == 500 * 65536
    assert turns >= 500 * 65536 // READ_BYTES  # one read a turn of the loop, however much there is


async def test_signals_to_a_child_that_has_ended_go_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another's by now."""
    child = Child(python(""), tmp_path)
    await child.end()
    sent: list[tuple[int, int]] = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda pid, number: sent.append((pid, number)))
    child.process.ask()
    child.process.terminate()
    child.process.abort()
    child.process.kill()
    assert sent == []


async def test_a_program_that_does_not_exist_is_an_error_and_leaves_no_descriptor(tmp_path: Path) -> None:
    await Child(python(""), tmp_path).end()  # the life pipe is made once
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            Child(["/no/such/program"], tmp_path, lock=tmp_path / "locks" / "a.lock")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_child_that_ended_leaves_no_descriptor(tmp_path: Path) -> None:
    await Child(python(""), tmp_path).end()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await Child(python("print(1)"), tmp_path, lock=tmp_path / "locks" / "a.lock").end()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_only_the_child_itself_is_asked_first_and_then_its_whole_group(tmp_path: Path) -> None:
    helper = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: print('helper told', flush=True));"
        "print('helper up', flush=True); input()"
    )
    code = (
        "import signal, subprocess, sys\n"
        f"helper = subprocess.Popen([sys.executable, '-c', {helper!r}], stdin=subprocess.PIPE)\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print('leader up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    child = Child(python(code), tmp_path)
    await child.said(b"leader up")
    await child.said(b"helper up")
    child.process.ask()
    await child.said(b"asked")
    assert b"helper told" not in child.output
    while child.output.count(b"asked") < 2 or b"helper told" not in child.output:
        child.process.terminate()
        await CLOCK.sleep(0.02)
    child.process.kill()
    assert await child.end() == -signal.SIGKILL


async def test_whoever_descends_from_a_child_is_ended_with_it_and_counted(tmp_path: Path) -> None:
    start = launch("stub_leaves", environ=stub_environ(), folder=tmp_path, settings=tmp_path, notify="")
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    process = Process(start, on_exit=ended.set_result, on_output=lambda _: None)
    while not (tmp_path / "left").exists():
        await CLOCK.sleep(0.01)
    in_group, in_session, orphan = map(int, (tmp_path / "left").read_text().split())
    family = process.look()
    assert {process.pid, in_group, in_session} <= set(family)
    os.kill(process.pid, signal.SIGKILL)
    assert await asyncio.wait_for(ended, 60) == -signal.SIGKILL
    assert process.survivors >= 2
    async with asyncio.timeout(60):
        while is_alive(in_group) or is_alive(in_session):
            await CLOCK.sleep(0.01)
    os.kill(orphan, signal.SIGKILL)  # given to PID 1: only a subreaper keeps sight of it


async def test_a_second_copy_cannot_be_started_while_one_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "prices.lock"
    first = Child(python("print('up', flush=True); import time; time.sleep(60)"), tmp_path, lock=lock)
    await first.said(b"up")
    with pytest.raises(StillHeld, match="another copy of it still runs"):
        Child(python(""), tmp_path, lock=lock)
    first.process.kill()
    await first.end()
    assert await Child(python(""), tmp_path, lock=lock).end() == 0


async def test_a_child_is_never_started_from_another_thread(tmp_path: Path) -> None:
    """The kernel would kill it when that thread ends."""

    def spawn() -> None:
        asyncio.run(spawned())

    async def spawned() -> None:
        Child(python(""), tmp_path)

    with pytest.raises(AssertionError):
        await asyncio.to_thread(spawn)


async def test_the_last_descriptors_are_not_for_children(tmp_path: Path) -> None:
    await Child(python(""), tmp_path).end()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(SPARE_DESCRIPTORS - 1):
            os.close(taken.pop())
        with pytest.raises(OSError, match="Too many open files"):
            Child(python(""), tmp_path)
        taken += [os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE_DESCRIPTORS - 1)]  # they are left
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


async def test_a_file_system_without_locks_costs_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    await Child(python(""), tmp_path).end()
    monkeypatch.setattr(fcntl, "flock", refused)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No locks available"):
        _locked(tmp_path / "locks" / "prices.lock")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_an_exit_is_handled_also_where_no_descriptor_is_left_to_end_its_kin(tmp_path: Path) -> None:
    child = Child(
        python("import subprocess, time; subprocess.Popen(['sleep', '60']); print(1, flush=True); time.sleep(60)"),
        tmp_path,
    )
    while not child.process.kin:
        child.process.look()
        await CLOCK.sleep(0.01)
    kin = {who.pid for who in child.process.kin}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        assert child.process._end_kin() == 0
        os.kill(child.process.pid, signal.SIGKILL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    assert await child.end() == -signal.SIGKILL
    while any(map(is_alive, kin)):
        await CLOCK.sleep(0.01)


async def test_without_a_pidfd_exits_are_still_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int) -> int:
        raise OSError("no descriptor left")

    monkeypatch.setattr(os, "pidfd_open", refused)
    child = Child(python("import sys; sys.exit(5)"), tmp_path)
    assert await child.end() == 5


async def test_a_child_finds_the_packages_from_any_folder(tmp_path: Path) -> None:
    start = launch("stub_crashes", environ=stub_environ(), folder=tmp_path, settings=tmp_path, notify="")
    said = b""

    def add(chunk: bytes) -> None:
        nonlocal said
        said += chunk

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    Process(start, on_exit=ended.set_result, on_output=add)
    assert await asyncio.wait_for(ended, 60) == 1
    assert b"RuntimeError: no luck" in said
