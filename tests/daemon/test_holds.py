from __future__ import annotations

from pathlib import Path

from daemon.holds import read_holds, write_holds


def test_what_was_held_is_known_after_a_restart(tmp_path: Path) -> None:
    assert read_holds(tmp_path) == {}
    write_holds(tmp_path, {"prices": "2026-11-23"})
    assert read_holds(tmp_path) == {"prices": "2026-11-23"}


def test_a_spoiled_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "holds.json").write_text('{"prices": 3')
    assert read_holds(tmp_path) == {}


def test_a_folder_that_cannot_be_written_does_not_raise(tmp_path: Path) -> None:
    write_holds(tmp_path / "absent", {"prices": ""})
    assert read_holds(tmp_path / "absent") == {}
