from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from api.config_file import NOT_HERE, ConfigFile, changeable, edited
from api.problems import Problem
from core.settings import Settings

TEXT = """\
# my own words
[metrics]
concurrency = 4               # not too many
rest_s = 1.0

[daily]   # at night
at = "16:30"
"""


def test_a_value_is_changed_and_everything_else_stays() -> None:
    changed = edited(TEXT, "metrics.concurrency", 6)
    assert changed == TEXT.replace("concurrency = 4 ", "concurrency = 6 ")
    assert edited(TEXT, "daily.at", "17:00") == TEXT.replace("16:30", "17:00")


@pytest.mark.parametrize(
    ("key", "value"),
    [("metrics.direct", "never"), ("prices.audit", False), ("risk.account_usd", 5e4), ("daily.window", 'a "b" \\ c')],
)
def test_a_key_that_is_not_there_is_added_to_its_section_or_with_it(key: str, value: bool | float | str) -> None:
    section, _, name = key.partition(".")
    changed = edited(TEXT, key, value)
    before, after = tomllib.loads(TEXT), tomllib.loads(changed)
    assert after[section].pop(name) == value
    assert {name: table for name, table in after.items() if table} == before


def test_a_value_of_many_lines_is_left_to_a_person() -> None:
    text = '[daily]\nat = """\n16:30"""\n'
    with pytest.raises(Problem) as refused:
        edited(text, "daily.at", "17:00")
    assert refused.value.code == "not_editable"


def test_where_to_connect_and_where_to_write_cannot_be_changed() -> None:
    offered = changeable(Settings())
    assert offered["metrics.concurrency"] == 8
    assert not offered.keys() & NOT_HERE
    words = ("url", "_dir", "file", "path", "command", "secret", "proxy")
    assert [key for key in offered if any(word in key for word in words)] == []


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigFile:
    (tmp_path / "config.toml").write_text(TEXT)
    monkeypatch.setenv("TICKERD_CONFIG", str(tmp_path / "config.toml"))
    return ConfigFile.find()


def test_values_are_written_and_what_was_there_is_returned(file: ConfigFile) -> None:
    file.path.chmod(0o640)
    before = file.change({"metrics.concurrency": 6, "daily.threads": 9})
    assert before == TEXT
    assert (file.settings().metrics.concurrency, file.settings().daily.threads) == (6, 9)
    assert file.path.stat().st_mode & 0o777 == 0o640
    file.restore(before)
    assert file.path.read_text() == TEXT


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"metrics.concurrency": 6, "metrics.rest_s": -1}, "wrong_setting"),
        ({"metrics.concurrency": "many"}, "wrong_setting"),
        ({"metrics.concurrency": 6, "prices.stream_url": "ws://evil"}, "unknown_setting"),
        ({"alerts.command": "rm -rf /"}, "unknown_setting"),
        ({"nothing": 1}, "unknown_setting"),
    ],
)
def test_wrong_values_change_nothing(file: ConfigFile, values: dict[str, bool | int | float | str], code: str) -> None:
    with pytest.raises(Problem) as refused:
        file.change(values)
    assert (refused.value.status, refused.value.code) == (422, code)
    assert file.path.read_text() == TEXT


def test_without_a_file_there_is_nothing_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKERD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="no_config_file"):
        ConfigFile.find()
