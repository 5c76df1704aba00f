from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.config import Loaded
from storage.schema import NEWEST_REVISION
from tests.cli.test_configuration import BAD
from tests.cli.test_database import set_revision
from tests.fix_cli import Ended, Run, tickerd


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_configuration_stops_the_start_with_one_line(here: Run, tmp_path: Path, name: str) -> None:
    text, *words = BAD[name]
    (tmp_path / "config.toml").write_text(text)

    here("run").fails(78, str(tmp_path), "; ", *words)


def test_a_wrong_configuration_leaves_no_file_behind(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[prices]\nenabeld = true\n")

    here("run")

    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


def test_json_sets_the_form_of_the_log_lines(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(loaded: Loaded, **_more: Any) -> int:
        seen.append(loaded.settings.logging.format)
        return 0

    monkeypatch.setattr("daemon.main.run", note)

    assert (here("run").code, here("run", "--json").code) == (0, 0)
    assert seen == ["auto", "json"]


def refused(folder: Path, code: int, *words: str) -> Ended:
    """Run the real daemon; assert that it ends with `code` and says these words in its last line."""
    ended = tickerd("run", folder=folder)
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("tickerd: ")]
    assert len(lines) == 1, ended.err
    for word in words:
        assert word in lines[0]
    return ended


def test_a_database_in_an_absent_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[database]\nurl = "sqlite:///nowhere/x.db"\n')

    refused(tmp_path, 78, "nowhere/x.db: the folder ", "does not exist; create it or set database.url")
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_schema_is_said_and_not_touched(sqlite_file: Path, tmp_path: Path) -> None:
    set_revision(sqlite_file, "9999")
    before = sqlite_file.read_bytes()

    refused(tmp_path, 78, f"has schema 9999, this program knows {NEWEST_REVISION}; install the newer tickerd")
    assert sqlite_file.read_bytes() == before


def test_a_read_only_database_is_said_and_not_touched(sqlite_file: Path, tmp_path: Path) -> None:
    before = sqlite_file.read_bytes()
    sqlite_file.chmod(0o444)

    refused(tmp_path, 78, "tickerd.db: is read-only; allow this user to write to it")
    assert sqlite_file.read_bytes() == before


def test_another_applications_database_is_said_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "tickerd.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    before = file.read_bytes()

    refused(tmp_path, 78, "holds tables of another application; set database.url to a database of its own")
    assert file.read_bytes() == before


def test_the_log_is_json_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[database]\nurl = "sqlite:///nowhere/x.db"\n')

    ended = refused(tmp_path, 78)

    events = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    assert events[0]["message"] == "orchestrator_started"
    assert ended.out == ""
