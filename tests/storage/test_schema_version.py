from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import FixByHand
from storage import schema_version
from storage.schema_version import SchemaState, check, downgrade, require_current, upgrade


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def make(file: Path, *statements: str) -> str:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return url_of(file)


def digest(folder: Path) -> dict[str, str]:
    """Of the files, without the empty log that reading a SQLite file in WAL mode leaves beside it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.db")}


def test_a_database_without_tables_is_empty_and_becomes_current(tmp_path: Path) -> None:
    url = url_of(tmp_path / "new.db")
    assert check(url) == SchemaState(current=None, newest="0006", state="empty")
    assert list(tmp_path.iterdir()) == [], "checking makes no file"
    assert upgrade(url).state == "empty"
    assert check(url) == SchemaState(current="0006", newest="0006", state="current")


def test_upgrading_a_current_database_changes_nothing(database_url: str) -> None:
    assert upgrade(database_url).state == "current"
    assert check(database_url).state == "current"


def test_the_schema_is_noted_in_app_meta(sqlite_file: Path) -> None:
    with sqlite3.connect(sqlite_file) as connection:
        found = connection.execute("SELECT value FROM app_meta WHERE key = 'schema'").fetchone()
    connection.close()
    assert found == ("0006",)


def test_an_older_schema_is_named_with_the_command_that_mends_it(sqlite_file: Path) -> None:
    url = make(sqlite_file, "UPDATE tickerd_schema SET version_num = '0000'")
    assert check(url).state == "older"
    with pytest.raises(FixByHand, match=r"has schema 0000, not 0006; run `tickerd db upgrade`"):
        require_current(url)


@pytest.mark.parametrize("action", [upgrade, lambda url: downgrade(url, "base"), require_current])
def test_a_newer_schema_is_refused_and_not_touched(sqlite_file: Path, action: Callable[[str], object]) -> None:
    url = make(sqlite_file, "UPDATE tickerd_schema SET version_num = '0007'")
    before = digest(sqlite_file.parent)
    with pytest.raises(FixByHand, match=r"has schema 0007, this program knows 0006; install the newer") as caught:
        action(url)
    assert caught.value.exit_code == 78
    assert str(sqlite_file) in str(caught.value)
    assert digest(sqlite_file.parent) == before


@pytest.mark.parametrize("action", [upgrade, lambda url: downgrade(url, "base"), require_current])
@pytest.mark.parametrize(
    "tables",
    [
        ["CREATE TABLE customers (id INTEGER)"],
        ["CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0001')"],
        ["CREATE TABLE stocks_stock (ticker TEXT)"],
    ],
)
def test_a_database_of_another_application_is_refused_and_not_touched(
    tmp_path: Path, tables: list[str], action: Callable[[str], object]
) -> None:
    url = make(tmp_path / "other.db", *tables)
    before = digest(tmp_path)
    assert check(url).state == "foreign"
    with pytest.raises(FixByHand, match="holds tables of another application"):
        action(url)
    assert digest(tmp_path) == before


def test_a_step_back_to_an_unknown_schema_is_refused(sqlite_file: Path) -> None:
    with pytest.raises(
        FixByHand, match="there is no schema 0009; give one of base, 0001, 0002, 0003, 0004, 0005, 0006"
    ):
        downgrade(url_of(sqlite_file), "0009")


def test_a_failed_migration_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text((schema_version.MIGRATIONS / "env.py").read_text())
    (scripts / "versions" / "0001_breaks.py").write_text(
        "from alembic import op\nrevision = '0001'\ndown_revision = None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    op.execute('NONSENSE')\n"
    )
    monkeypatch.setattr(schema_version, "MIGRATIONS", scripts)
    url = url_of(tmp_path / "new.db")
    with pytest.raises(Exception, match="NONSENSE"):
        upgrade(url)
    assert check(url).state == "empty"
