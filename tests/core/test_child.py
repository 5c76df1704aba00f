import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.child import OOM_SCORE_ADJUST, PARENT_VARIABLE

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
