from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from daemon.descendants import MARK_VARIABLE, Identity, identity
from daemon.leftovers import Family, boot_id, clear, note
from tests.fix_daemon import is_alive

CLOCK = SystemClock()
POLITE = "print('up', flush=True); input()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {POLITE}"


@contextmanager
def left_over(code: str, mark: str = "") -> Iterator[Identity]:
    """A process that somebody else started: nobody here waits for it."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {MARK_VARIABLE: mark},
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        who = identity(process.pid)
        assert who is not None
        try:
            yield who
        finally:
            process.kill()


async def test_who_was_noted_is_asked_and_then_killed(tmp_path: Path) -> None:
    with left_over(POLITE) as polite, left_over(DEAF) as deaf:
        os.kill(polite.pid, signal.SIGSTOP)
        note(tmp_path, secrets.token_hex(8), [Family("prices", [polite]), Family("metrics", [deaf])])
        with capture_logs() as logs:
            assert await clear(tmp_path, clock=CLOCK, patience_s=0.3) == 2
        assert not is_alive(polite.pid)
        assert not is_alive(deaf.pid)
    assert logs[0] == {
        "event": "leftovers_found",
        "log_level": "warning",
        "pids": sorted([polite.pid, deaf.pid]),
        "log.logger": "daemon.leftovers",
    }


async def test_who_bears_the_mark_is_found_although_nobody_noted_it(tmp_path: Path) -> None:
    token = secrets.token_hex(8)
    with left_over(POLITE, f"{token}.3") as unnoted, left_over(POLITE) as stranger:
        note(tmp_path, token, [])
        assert await clear(tmp_path, clock=CLOCK, patience_s=1.0) == 1
        assert not is_alive(unnoted.pid)
        assert is_alive(stranger.pid)


async def test_another_process_with_a_noted_pid_is_let_alone(tmp_path: Path) -> None:
    with left_over(POLITE) as innocent:
        note(tmp_path, "none", [Family("prices", [Identity(innocent.pid, innocent.started - 1)])])
        assert await clear(tmp_path, clock=CLOCK, patience_s=0.1) == 0
        assert is_alive(innocent.pid)


async def test_a_note_of_another_run_of_the_machine_means_nobody(tmp_path: Path) -> None:
    with left_over(POLITE) as innocent:
        note(tmp_path, "none", [Family("prices", [innocent])])
        file = tmp_path / "children.json"
        file.write_text(file.read_text().replace(boot_id(), "another"))
        assert await clear(tmp_path, clock=CLOCK, patience_s=0.1) == 0
        assert is_alive(innocent.pid)


async def test_a_shorter_note_replaces_a_longer_one(tmp_path: Path) -> None:
    note(tmp_path, "token", [Family("prices", [Identity(1, 2), Identity(3, 4)])])
    note(tmp_path, "token", [])
    assert json.loads((tmp_path / "children.json").read_text())["families"] == []


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"boot_id":"x","token":"","families":[{"name":1}]}'])
async def test_a_note_that_makes_no_sense_is_told_and_ends_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "children.json").write_text(text)
    with capture_logs() as logs:
        assert await clear(tmp_path, clock=CLOCK, patience_s=0.1) == 0
    assert [each["event"] for each in logs] == ["children_unreadable"]


async def test_a_first_start_finds_no_note(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert await clear(tmp_path, clock=CLOCK, patience_s=0.1) == 0
    assert logs == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "children.json").mkdir()
    with capture_logs() as logs:
        note(tmp_path, "token", [])
    assert [each["event"] for each in logs] == ["children_unwritten"]
