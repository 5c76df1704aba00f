from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.schema import NEWEST_REVISION as NEWEST
from tests.fix_cli import Run

KEYS = {"version", "url", "state", "current", "newest"}


def set_revision(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE tickerd_schema SET version_num = ?", (revision,))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_up_check_down_and_up_again(here: Run, tmp_path: Path) -> None:
    file = tmp_path / "tickerd.db"

    assert here("db", "upgrade").out == f"sqlite:///{file}: current (schema {NEWEST}, program {NEWEST})\n"
    assert here("db", "check", "--json").json() == {
        "version": 1,
        "url": f"sqlite:///{file}",
        "state": "current",
        "current": NEWEST,
        "newest": NEWEST,
    }
    assert here("db", "upgrade").code == 0
    assert here("db", "downgrade", "base", "--yes").out == f"sqlite:///{file}: empty (schema none, program {NEWEST})\n"
    assert "stocks_stock" not in tables(file)
    assert here("db", "upgrade", "--json").json().keys() == KEYS
    assert "stocks_stock" in tables(file)


def test_a_check_makes_no_file_and_says_what_to_run(here: Run, tmp_path: Path) -> None:
    ended = here("db", "check", "--json")

    assert (ended.code, ended.json()["state"], ended.json()["current"]) == (78, "empty", None)
    ended.says("holds no tables yet; run `tickerd db upgrade`")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("upgrade",), ("downgrade", "base", "--yes")], ids=" ".join)
def test_a_newer_schema_is_refused_and_not_touched(here: Run, sqlite_file: Path, words: tuple[str, ...]) -> None:
    set_revision(sqlite_file, "9999")
    before = sqlite_file.read_bytes()

    here("db", *words).fails(78, f"has schema 9999, this program knows {NEWEST}; install the newer tickerd")

    assert sqlite_file.read_bytes() == before


def test_a_check_tells_a_newer_schema(here: Run, sqlite_file: Path) -> None:
    set_revision(sqlite_file, "9999")

    ended = here("db", "check")

    assert (ended.code, ended.out) == (78, f"sqlite:///{sqlite_file}: newer (schema 9999, program {NEWEST})\n")
    ended.says("install the newer tickerd")


@pytest.mark.parametrize("words", [("upgrade",), ("downgrade", "base", "--yes")], ids=" ".join)
def test_another_applications_database_is_refused_and_not_touched(
    here: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "tickerd.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
        connection.commit()
    before = file.read_bytes()

    here("db", *words).fails(78, "holds tables of another application; set database.url")
    assert file.read_bytes() == before


def test_an_unknown_revision_is_refused_with_the_known_ones(here: Run, sqlite_file: Path) -> None:
    here("db", "downgrade", "0815", "--yes").fails(78, "there is no schema 0815; give one of base, 0001, 0002", NEWEST)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda file: file.write_bytes(b"hello" * 1000), "is not a SQLite database"),
        (lambda file: file.mkdir(), "is not a file"),
    ],
    ids=["junk", "folder"],
)
def test_what_is_no_database_is_named(here: Run, tmp_path: Path, make: object, words: str) -> None:
    make(tmp_path / "tickerd.db")  # type: ignore[operator]

    for command in ("check", "upgrade"):
        here("db", command).fails(78, str(tmp_path / "tickerd.db"), words)


def test_a_password_is_never_shown(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/x?connect_timeout=1"
    monkeypatch.setenv("TICKERD_DATABASE__URL", url)

    ended = here("db", "check")

    ended.fails(75, "postgresql+psycopg://me:***@127.0.0.1:1/x", "does not answer")
    assert "secret" not in ended.err
