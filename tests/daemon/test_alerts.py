from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.settings import Alerts as AlertSettings
from core.settings import Logging
from daemon import alerts
from daemon.alerts import AlertBook, AlertCommand, Alerts, News, document
from daemon.journal import Journal
from tests.fix_daemon import CALM, PATIENCE_S, QUICK, running_daemon, wait_until
from tests.fix_scanners import eventually

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
BREAKER = {"alert": "breaker_open", "process": "prices", "since": None, "text": "prices fails again and again"}
AWAY = {"alert": "database_unreachable", "process": None, "since": None, "text": "locked"}
KEY = ("breaker_open", "prices")
LARGE_BYTES = 30_000 if sys.platform == "win32" else 100_000
"""More than a pipe holds; a variable of Windows holds 32,767."""


def runs(code: str) -> str:
    """A command for the shell of any system; `code` has no double quotes."""
    return f'"{sys.executable}" -c "{code}"'


KEEPS = runs("import sys; open('got', 'ab').write(sys.stdin.buffer.read())")
WAITS = """
import os, sys, time
open("got", "ab").write(sys.stdin.buffer.read())
while not os.path.exists("go"):
    time.sleep(0.01)
"""
SLEEPS = runs("import time; time.sleep(60)")


def told(book: AlertBook, now_s: float, *up: dict[str, Any]) -> list[tuple[str, str]]:
    return [(news.event, news.alert["alert"]) for news in book.update(up, now_s=now_s, repeat_s=3600)]


def test_an_alert_is_told_once_then_each_repeat_s_and_when_it_is_over() -> None:
    book = AlertBook()
    assert told(book, 0, BREAKER) == [("raised", "breaker_open")]
    assert told(book, 1, BREAKER, AWAY) == [("raised", "database_unreachable")]
    assert told(book, 3599, BREAKER, AWAY) == []
    assert told(book, 3600, BREAKER, AWAY) == [("repeated", "breaker_open")]
    assert told(book, 3601, BREAKER) == [("cleared", "database_unreachable")]
    assert told(book, 7199, BREAKER) == []
    assert told(book, 7200, BREAKER) == [("repeated", "breaker_open")]
    assert told(book, 7201) == [("cleared", "breaker_open")]
    assert told(book, 7202, BREAKER) == [("raised", "breaker_open")]


def test_what_is_told_at_the_end_is_what_was_known_last() -> None:
    book = AlertBook()
    book.update([AWAY], now_s=0, repeat_s=3600)
    book.update([AWAY | {"text": "locked by another"}], now_s=1, repeat_s=3600)
    assert book.update([], now_s=2, repeat_s=3600) == [News("cleared", AWAY | {"text": "locked by another"})]


def test_the_document_is_one_line_of_json() -> None:
    text = document(News("raised", BREAKER | {"text": "two\nlines \ud800"}), NOW)
    assert b"\n" not in text
    read = json.loads(text)
    assert read.keys() == {"version", "event", "at", "host", "alert", "process", "since", "text"}
    assert (read["version"], read["event"], read["at"]) == (1, "raised", "2026-11-23T15:00:00.000Z")
    assert (read["alert"], read["process"], read["text"][:9]) == ("breaker_open", "prices", "two\nlines")


@asynccontextmanager
async def teller(folder: Path, **environ: str) -> AsyncIterator[AlertCommand]:
    command = AlertCommand(logging=Logging(dir=str(folder)), environ=os.environ | environ, folder=folder)
    yield command
    command.close()
    await ended(command)


async def ended(command: AlertCommand) -> None:
    clock = SystemClock()
    end_s = clock.monotonic_s() + PATIENCE_S
    while command._running:
        assert clock.monotonic_s() < end_s
        await clock.sleep(0.005)


async def test_the_command_reads_the_document_and_what_it_prints_is_in_the_log(tmp_path: Path) -> None:
    async with teller(tmp_path, NOTIFY_SOCKET="@ours") as command:
        command.tell(KEY, f"{KEEPS} && echo sent&& echo twice>&2", '{"a":"é"}'.encode())
        await ended(command)
    assert (tmp_path / "got").read_bytes() == '{"a":"é"}\n'.encode()
    assert (tmp_path / "alerts.jsonl").read_text() == "sent\ntwice\n"


async def test_the_command_does_not_answer_to_who_watches_the_daemon(tmp_path: Path) -> None:
    async with teller(tmp_path, NOTIFY_SOCKET="@ours") as command:
        command.tell(KEY, runs("import os; print('NOTIFY_SOCKET' in os.environ)"), b"{}")
        await ended(command)
    assert (tmp_path / "alerts.jsonl").read_text() == "False\n"


async def test_the_shell_reads_the_quotes_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "my tools").mkdir()
    (tmp_path / "my tools" / "tell.py").write_text("import sys\nprint(sys.argv[1:])", encoding="utf-8")
    async with teller(tmp_path) as command:
        command.tell(KEY, f'"{sys.executable}" "my tools/tell.py" "two words" three', b"{}")
        await ended(command)
    assert (tmp_path / "alerts.jsonl").read_text() == "['two words', 'three']\n"


async def test_one_command_an_alert_runs_at_a_time_and_the_newest_of_the_waiting_follows(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    async with teller(tmp_path) as command:
        for number in range(5):
            command.tell(KEY, f'"{sys.executable}" waits.py', b"%d" % number)
        command.tell(("other", None), KEEPS.replace("'got'", "'other'"), b"beside")
        await eventually((tmp_path / "other").exists, timeout_s=PATIENCE_S)
        (tmp_path / "go").touch()
        await ended(command)
    assert (tmp_path / "got").read_text() == "0\n4\n"
    assert (tmp_path / "other").read_text() == "beside\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo no route&& exit 3", {"exit_code": 3, "error": "no route"}),
        ("no-such-program-here", {} if sys.platform == "win32" else {"exit_code": 127}),  # Windows: 1, Wine: 9009
        *([] if sys.platform == "win32" else [("kill -9 $$", {"exit_code": 137})]),
    ],
)
async def test_a_command_that_fails_is_logged(tmp_path: Path, command: str, said: dict[str, Any]) -> None:
    with capture_logs() as logs:
        async with teller(tmp_path) as runner:
            runner.tell(KEY, command, b"{}")
            await ended(runner)
    (event,) = logs
    assert event.items() >= {"event": "alert_command_failed", "alert": "breaker_open", "process": "prices"}.items()
    assert event.items() >= said.items()


async def test_a_command_that_does_not_end_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "COMMAND_S", 0.1)
    with capture_logs() as logs:
        async with teller(tmp_path) as command:
            command.tell(KEY, f"{SLEEPS} | {SLEEPS}", b"{}")
            await ended(command)
    assert logs[0]["error"] == "was killed after 0.1 s"


async def test_a_command_that_reads_nothing_and_a_document_larger_than_a_pipe_hold_nobody_up(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with teller(tmp_path) as command:
            command.tell(KEY, "exit 0", b"x" * LARGE_BYTES)
            assert command._running
            await ended(command)
    assert logs == []


async def test_a_system_that_refuses_the_process_is_logged(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with teller(tmp_path / "absent") as command:
            command.tell(KEY, "echo", b"{}")
    assert [each["event"] for each in logs] == ["alert_command_failed"]


async def test_log_and_journal_hear_of_it_also_without_a_command(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with teller(tmp_path) as command:
            telling = Alerts(Journal(tmp_path), command)
            for now_s, up in ((0, [BREAKER]), (3600, [BREAKER]), (3601, [])):
                telling.tell(up, AlertSettings(), now=NOW, now_s=now_s)
    assert [each["event"] for each in logs] == ["alert_raised", "alert_repeated", "alert_cleared"]
    assert logs[0].items() >= {"alert": "breaker_open", "process": "prices", "detail": BREAKER["text"]}.items()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(line["process"], line["event"], line["detail"]) for line in lines] == [
        ("tickerd", "alert_raised", f"breaker_open: {BREAKER['text']}"),
        ("tickerd", "alert_cleared", f"breaker_open: {BREAKER['text']}"),
    ]


def test_the_daemon_tells_the_command_of_a_crash_loop_and_of_its_end(tmp_path: Path) -> None:
    limits = "breaker_count = 2\nbackoff_max_s = 0.1\n"
    command = json.dumps(KEEPS.replace("'got'", "'told'"))
    toml = QUICK + limits + f"[alerts]\ncommand = {command}\nrepeat_s = 1\n"
    with running_daemon(tmp_path, {"prices": "stub_crashes", **CALM}, toml=toml) as daemon:
        daemon.in_state("prices", "open")

        def events() -> list[str]:
            file = tmp_path / "told"
            return [json.loads(line)["event"] for line in file.read_text().splitlines()] if file.exists() else []

        wait_until(lambda: events()[:2] == ["raised", "repeated"])
        daemon.ask("stop", "prices")
        wait_until(lambda: events()[-1] == "cleared")
        assert set(events()[1:-1]) == {"repeated"}
        assert daemon.end() == 0


async def test_the_command_may_ask_tickerd_itself(tmp_path: Path) -> None:
    async with teller(tmp_path) as command:
        command.tell(KEY, f'"{sys.executable}" -m cli.main config check', b"{}")
        await ended(command)
    assert (tmp_path / "alerts.jsonl").read_text() == "built-in defaults: right\n"
