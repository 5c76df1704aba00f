from __future__ import annotations

import subprocess
import sys
from pathlib import Path

assert sys.platform == "win32"

from core.child_windows import ABORT, ABORTED, LOCK_VARIABLE, STOP
from core.files import FileLock
from tests.fix_daemon import ROOT, stub_environ


def started(folder: Path, code: str, **environ: str) -> subprocess.Popen[bytes]:
    (folder / "runs_below.py").write_text(code, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "core.child_windows", "runs_below", "an argument"],
        cwd=folder,
        env=stub_environ(PYTHONPATH=f"{ROOT};{folder}", **environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_the_module_runs_as_the_main_one_with_its_arguments(tmp_path: Path) -> None:
    with started(tmp_path, "import sys\nprint(__name__, sys.argv[1:])\nsys.exit(4)") as child:
        assert child.stdout is not None
        assert child.stdout.read() == b"__main__ ['an argument']\r\n"
        assert child.wait(60) == 4


def test_when_the_parents_end_of_the_pipe_closes_it_ends(tmp_path: Path) -> None:
    with started(tmp_path, "import threading\nthreading.Event().wait()") as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(60) == 1


def test_what_the_program_starts_does_not_inherit_the_pipe(tmp_path: Path) -> None:
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import sys; print([sys.stdin.read()])'])"
    with started(tmp_path, code) as child:
        assert child.wait(60) == 0
        assert child.stdout is not None
        assert child.stdout.read() == b"['']\r\n"


def test_a_stop_is_sigterm_to_the_program(tmp_path: Path) -> None:
    code = (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('up', flush=True)\nwhile True: pass"
    )
    with started(tmp_path, code) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"up\r\n"
        child.stdin.write(STOP)
        child.stdin.flush()
        assert child.wait(60) == 9


def test_a_second_copy_that_finds_the_lock_held_ends_with_75(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "children" / "prices.lock")
    lock.path.parent.mkdir()
    with lock, started(tmp_path, "print('up')", **{LOCK_VARIABLE: str(lock.path)}) as child:
        assert child.wait(60) == 75
    with started(tmp_path, "print('up')", **{LOCK_VARIABLE: str(lock.path)}) as child:
        assert child.wait(60) == 0


def test_an_abort_shows_the_stacks_although_the_program_is_stuck(tmp_path: Path) -> None:
    with started(tmp_path, "import threading\nprint('up', flush=True)\nthreading.Event().wait()") as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"up\r\n"
        child.stdin.write(ABORT)
        child.stdin.flush()
        assert b"runs_below.py" in child.stdout.read()
        assert child.wait(60) == ABORTED
