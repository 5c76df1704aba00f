"""Runs the `tickerd` command: as the installed program, or in this process where only its output matters."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from cli.main import main
from core.clock import SystemClock
from core.config import ALIASES
from storage.writer import Writer

COMMAND = Path(sys.executable).with_name("tickerd")
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
PATIENCE_S = 200.0
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return the one document on standard output."""
        assert self.out.count("\n") == 1
        document = json.loads(self.out)
        assert document["version"] == 1
        return dict(document)

    def fails(self, code: int, *words: str) -> None:
        """Assert that it failed as promised: one line on standard error, nothing else, no traceback."""
        assert (self.code, self.out) == (code, ""), self
        self.says(*words)

    def says(self, *words: str) -> None:
        """Assert that standard error is one line, `tickerd: WHERE: reason; what would be right`, with these words."""
        assert "Traceback" not in self.err, self.err
        assert re.fullmatch(r"tickerd: [^\n]+\n", self.err), self.err
        for word in words:
            assert word in self.err


def clean_environ(**more: str) -> dict[str, str]:
    """Return this environment without what would configure tickerd."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_") and name not in ALIASES}
    return kept | {"COLUMNS": "80"} | more


def obey_permissions() -> None:
    """In a child of root, before it becomes a program: let file modes hold for it as for anybody."""
    if os.getuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


def tickerd(*arguments: str | Path, folder: Path, **environ: str) -> Ended:
    """Run the installed command in `folder`, bound to file modes, and wait for its end."""
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=clean_environ(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=obey_permissions,
    )
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


Run = Callable[..., Ended]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """`here("plan", "--json")` runs a command in this process, in an empty folder and a clean environment."""
    for name in set(os.environ) - set(clean_environ()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ended(code=code, out=said.out, err=said.err)

    yield run
    structlog.reset_defaults()  # what the command has set up for itself


@contextmanager
def running(*arguments: str | Path, folder: Path, output: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the installed command; at the end its session and all it left are killed."""
    with output.open("wb") as said:
        popen = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=folder,
            env=clean_environ(**environ),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield popen
    finally:
        left = family(popen.pid)
        if popen.poll() is None:
            popen.send_signal(signal.SIGKILL)
        popen.wait()
        for process in left:
            if process.is_running():
                process.kill()


def family(pid: int) -> list[psutil.Process]:
    """Return all living descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def times_in(value: Any) -> Iterator[str]:
    """Yield every text of a document that begins like a moment."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from times_in(each)
    elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d", value):
        yield value


def fits_80_columns(text: str) -> bool:
    return all(len(line.rstrip()) <= 80 for line in text.splitlines()) and "…" not in text


@pytest.fixture
def scan_folder(sqlite_template: Path, here: Run, tmp_path: Path) -> Path:
    """A working folder whose database holds three tickers."""
    from tests.fix_scans import fill  # numpy: not everywhere that a command is run

    file = tmp_path / "tickerd.db"
    file.write_bytes(sqlite_template.read_bytes())
    with Writer.open(f"sqlite:///{file}", service="test", origin="practice", clock=SystemClock()) as writer:
        fill(writer, {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0], "N": [5.0]})
    return tmp_path
