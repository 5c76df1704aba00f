from __future__ import annotations

import sys
from pathlib import Path

assert sys.platform == "win32"

from tests.fix_cli import Run


def test_a_dry_run_shows_the_command_and_registers_nothing(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    ended = here("service", "install", "--dry-run")
    assert ended.code == 0
    assert "daemon.service_windows" in ended.out and str(tmp_path / "config.toml") in ended.out
    assert here("service", "status").code == 3


def test_without_a_configuration_file_it_is_refused(here: Run) -> None:
    here("service", "install", "--dry-run").fails(78, "give --config FILE")


def test_a_service_that_is_not_there_is_said_to_be_absent(here: Run) -> None:
    assert here("service", "status", "--json").json() == {
        "version": 1,
        "unit": "tickerd",
        "installed": False,
        "state": "absent",
    }
    here("service", "uninstall").fails(1, "run `tickerd service install` first")
