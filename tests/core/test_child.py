import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.child import LIFE_VARIABLE, LOCK_VARIABLE, OOM_SCORE_ADJUST, OPEN_FILES, PARENT_VARIABLE

ROOT = Path(__file__).parents[2]
WAITS = "print(__import__('os').getpid(), flush=True)\n__import__('sys').stdin.read()\n"
STARTS_A_CHILD = """
import os, subprocess, sys
command = [sys.executable, "-m", "core.child", "waits"]
subprocess.Popen(command, env=os.environ | {"TICKERD_PARENT_PID": str(os.getpid())}).wait()
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "waits.py").write_text(WAITS)
    return tmp_path


def environment(modules: Path, **more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{modules}:{ROOT}"} | more


def test_a_child_dies_when_its_parent_is_killed(modules: Path) -> None:
    environ = environment(modules)
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_A_CHILD], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([child], [], [], 10)
        os.close(child)
        assert ended


def test_a_child_whose_parent_is_gone_already_leaves_at_once(modules: Path) -> None:
    environ = environment(modules, **{PARENT_VARIABLE: "1"})
    command = [sys.executable, "-m", "core.child", "waits"]
    ended = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "parent process is gone\n"
    assert ended.stdout == ""


def test_the_module_runs_as_the_main_one_with_its_arguments_and_without_the_parents_variable(tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(
        "import os, sys, faulthandler\n"
        "assert __name__ == '__main__' and faulthandler.is_enabled()\n"
        f"print(sys.argv[1:], {PARENT_VARIABLE!r} in os.environ, open('/proc/self/oom_score_adj').read())\n"
        "sys.exit(7)\n"
    )
    environ = environment(tmp_path, **{PARENT_VARIABLE: str(os.getpid())})
    command = [sys.executable, "-m", "core.child", "tells", "--once", "x"]
    ended = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.returncode == 7
    assert ended.stdout.split() == ["['--once',", "'x']", "False", str(OOM_SCORE_ADJUST)]


def test_started_by_hand_no_parent_is_needed(modules: Path) -> None:
    command = [sys.executable, "-m", "core.child", "waits"]
    ended = subprocess.run(command, env=environment(modules), stdin=subprocess.DEVNULL, capture_output=True)
    assert ended.returncode == 0


def test_a_child_ends_when_the_life_pipe_closes_although_its_main_thread_is_busy(tmp_path: Path) -> None:
    """Where the kernel sends no signal at the parent's death, or a child has refused it."""
    (tmp_path / "busy.py").write_text("print('up', flush=True)\nwhile True: pass\n")
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "core.child", "busy"]
    child = subprocess.Popen(
        command,
        env=environment(tmp_path, **{LIFE_VARIABLE: str(reader)}),
        stdout=subprocess.PIPE,
        pass_fds=(reader,),
    )
    os.close(reader)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        os.close(writer)
        assert child.wait(60) == 1


def test_a_child_holds_its_lock_to_its_end_and_what_it_forks_does_not(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(
        "import os, subprocess, sys\n"
        "def held(): return sum('the-lock' in os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')"
        " if os.path.lexists(f'/proc/self/fd/{fd}'))\n"
        "if os.fork() == 0:\n    print('forked', held(), flush=True)\n    os._exit(0)\n"
        "os.wait()\n"
        "print('own', held(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    path = tmp_path / "the-lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    child = subprocess.Popen(
        [sys.executable, "-m", "core.child", "forks"],
        env=environment(tmp_path, **{LOCK_VARIABLE: str(lock)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(lock,),
    )
    os.close(lock)
    again = os.open(path, os.O_RDWR)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"forked 0\n"
        assert child.stdout.readline() == b"own 1\n"
        with pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.kill()
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(again)


def test_a_child_writes_no_core_and_may_open_so_many_files(tmp_path: Path) -> None:
    (tmp_path / "limits.py").write_text(
        "import resource\n"
        "print(*resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    command = [sys.executable, "-m", "core.child", "limits"]
    told = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    soft_core, hard_core, files = told.stdout.split()
    assert (int(soft_core), int(hard_core)) == (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
    assert int(files) == min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
