from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.descendants import (
    MARK_VARIABLE,
    Identity,
    belongs,
    children,
    descendants,
    identity,
    is_zombie,
    mark_of,
    marked,
    send,
)
from tests.fix_daemon import is_alive, wait_until

WAITS = [sys.executable, "-c", "input()"]
HAS_CHILDREN = [
    sys.executable,
    "-c",
    "import subprocess, sys; c = [subprocess.Popen([sys.executable, '-c', 'input()'], start_new_session=n)"
    " for n in (False, True)]; print(*(each.pid for each in c), flush=True); input()",
]


@contextmanager
def started(command: list[str], *, mark: str = "", own_session: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    environ = os.environ | ({MARK_VARIABLE: mark} if mark else {})
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, start_new_session=own_session
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def known(pid: int) -> Identity:
    who = identity(pid)
    assert who is not None
    return who


def test_a_process_is_known_by_its_pid_and_its_start() -> None:
    with started(WAITS) as process:
        assert known(process.pid).pid == process.pid
        assert known(process.pid) == known(process.pid)
        assert known(process.pid).started >= known(os.getpid()).started
        process.kill()
        wait_until(lambda: is_zombie(process.pid))
        assert identity(process.pid) is None
    assert identity(process.pid) is None
    assert not is_zombie(process.pid)


def test_children_and_theirs_are_found_in_whatever_session() -> None:
    with started(HAS_CHILDREN) as process:
        assert process.stdout is not None
        grandchildren = sorted(map(int, process.stdout.readline().split()))
        assert process.pid in children(os.getpid())
        assert sorted(children(process.pid)) == grandchildren
        assert sorted(descendants(process.pid)) == grandchildren
        assert set(grandchildren) < set(descendants(os.getpid()))
        process.kill()
        wait_until(lambda: is_zombie(process.pid))
        assert children(process.pid) == []
        for pid in grandchildren:
            os.kill(pid, signal.SIGKILL)


def test_a_reused_pid_is_never_hit() -> None:
    """The process that has the pid now is another one: it began at another time."""
    with started(WAITS) as innocent:
        meant = Identity(innocent.pid, known(innocent.pid).started - 1)
        assert not send(meant, signal.SIGKILL)
        assert is_alive(innocent.pid)
        assert send(known(innocent.pid), signal.SIGKILL)
        assert innocent.wait(60) == -signal.SIGKILL
        assert not send(meant, signal.SIGKILL)


def test_whoever_shares_the_session_or_bears_the_mark_belongs() -> None:
    mark = secrets.token_hex(8)
    with (
        started(WAITS, own_session=True) as leader,
        started(WAITS, mark=mark) as marked_one,
        started(WAITS) as stranger,
    ):
        assert belongs(leader.pid, leader.pid, mark)
        assert belongs(marked_one.pid, leader.pid, mark)
        assert not belongs(stranger.pid, leader.pid, mark)
        assert mark_of(marked_one.pid) == mark
        assert mark_of(stranger.pid) == ""


def test_whoever_bears_a_mark_is_found_on_the_whole_machine_and_an_empty_mark_is_nobodys() -> None:
    run = secrets.token_hex(8)
    with started(WAITS, mark=f"{run}.1") as first, started(WAITS, mark=f"{run}.2") as second, started(WAITS):
        assert sorted(marked(run)) == sorted([first.pid, second.pid])
    assert list(marked("")) == []


def test_a_process_that_is_gone_belongs_to_nobody() -> None:
    with started(WAITS) as process:
        process.kill()
        process.wait()
    assert not belongs(process.pid, os.getsid(0), "x")
    assert mark_of(process.pid) == ""
    assert children(process.pid) == []
