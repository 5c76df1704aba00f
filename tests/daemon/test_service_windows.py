from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

assert sys.platform == "win32"

import win32service

from core import config
from daemon.launch import Launch, supervised
from daemon.service_windows import command_line, configure, host, orchestrator, register, start, state, uninstall
from tests.fix_daemon import ROOT, STUBS, stub_environ, wait_until
from tests.fix_scanners import eventually

SAYS_UP = """
from core.program import run
async def main(settings, stop, notifier):
    print("up", flush=True)
    await stop.wait()
    print("flushed", flush=True)
raise SystemExit(run(main, service="x"))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("[market]\ncalendar = 'always'\n[supervisor]\nstop_timeout_s = 2\n", encoding="utf-8")
    return path


def launched(folder: Path, stub: str) -> Launch:
    return Launch(
        arguments=supervised(stub), environ=stub_environ(PYTHONPATH=f"{ROOT};{STUBS};{folder}"), folder=folder
    )


async def test_the_service_ends_when_its_orchestrator_does_with_its_exit_code(file: Path) -> None:
    loaded = config.load(str(file), {}, file.parent)
    code = await asyncio.wait_for(host(launched(file.parent, "stub_crashes"), loaded, asyncio.Event()), 60)
    assert code != 0
    assert (file.parent / "logs" / "service.jsonl").read_text(encoding="utf-8")


async def test_a_stop_asks_the_orchestrator_and_waits_for_it(file: Path) -> None:
    loaded, stop, log = config.load(str(file), {}, file.parent), asyncio.Event(), file.parent / "logs" / "service.jsonl"
    (file.parent / "says_up.py").write_text(SAYS_UP, encoding="utf-8")
    hosting = asyncio.ensure_future(host(launched(file.parent, "says_up"), loaded, stop))
    await eventually(lambda: log.exists() and "up" in log.read_text(encoding="utf-8"), timeout_s=60)
    stop.set()
    assert await asyncio.wait_for(hosting, 60) == 0
    assert "flushed" in log.read_text(encoding="utf-8")


def test_the_orchestrator_runs_under_the_bootstrap_with_the_services_configuration(file: Path) -> None:
    start = orchestrator(config.load(str(file), {}, file.parent), "C:\\venv\\Scripts\\python.exe")
    assert list(start.arguments) == [
        "C:\\venv\\Scripts\\python.exe",
        *("-P", "-m", "core.child_windows", "cli.main", "run", "--config", str(file)),
    ]
    assert start.folder == file.parent


def test_a_path_with_spaces_is_one_word_of_the_services_command() -> None:
    assert command_line(Path("C:\\my stocks\\config.toml")).endswith('"C:\\my stocks\\config.toml"')


def test_the_service_manager_starts_it_and_stops_it(file: Path) -> None:
    register(file, account=None, password=None)
    try:
        assert state() == "stopped"
        start()
        wait_until(lambda: state() == "running", within_s=30)
        wait_until((file.parent / ".tickerd" / "events.jsonl").exists, within_s=60)
    finally:
        uninstall()
    wait_until(lambda: state() == "absent", within_s=30)


def test_a_failure_starts_it_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service manager is told; not every one of them says it again when asked."""
    told: dict[int, Any] = {}
    change = win32service.ChangeServiceConfig2

    def noted(service: Any, level: int, what: Any) -> None:
        told[level] = what
        change(service, level, what)

    monkeypatch.setattr(win32service, "ChangeServiceConfig2", noted)
    register(file, account=None, password=None)
    try:
        configure()
    finally:
        uninstall()
    actions = told[win32service.SERVICE_CONFIG_FAILURE_ACTIONS]["Actions"]
    assert {action for action, _ in actions} == {win32service.SC_ACTION_RESTART}
    assert told[win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG] is True
