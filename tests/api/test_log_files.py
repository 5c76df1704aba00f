from __future__ import annotations

import json
from pathlib import Path

import pytest

from api import log_files


def line(message: str, level: str) -> str:
    return json.dumps({"message": message, "log.level": level}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = line("a", "debug") + line("b", "info") + "Traceback: oops\n" + line("c", "warning") + line("d", "error")
    (tmp_path / "prices.jsonl").write_text(text)
    (tmp_path / "daily.jsonl").write_text("")
    (tmp_path / "notes.txt").write_text("none of ours")
    return tmp_path


def test_the_newest_lines_of_a_level_and_graver(folder: Path) -> None:
    def found(level: str, *, limit: int = 10, search: str = "") -> list[str]:
        events = log_files.newest(folder / "prices.jsonl", limit=limit, level=level, search=search)
        return [event["message"] for event in events]

    assert found("debug") == ["a", "b", "Traceback: oops", "c", "d"]
    assert found("info", limit=3) == ["Traceback: oops", "c", "d"]
    assert found("warning") == ["c", "d"]
    assert found("debug", search="OOPS") == ["Traceback: oops"]


def test_of_a_long_file_only_its_end_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "READ_BYTES", 60)
    events = log_files.newest(folder / "prices.jsonl", limit=10, level="debug", search="")
    assert [event["message"] for event in events] == ["d"], "the torn line before it is none"


def test_which_logs_there_are_and_how_many_warnings_they_hold(folder: Path) -> None:
    assert log_files.known(folder) == ["daily", "prices"]
    assert list(log_files.counts(folder)) == [("daily", 0, 0), ("prices", 1, 1)]
    assert log_files.known(folder / "absent") == []
