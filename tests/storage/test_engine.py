from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from core.errors import FixByHand, RetryLater
from storage import schema_version
from storage.engine import (
    FULL_BY_OPTION,
    has_wal_reset_bug,
    is_contention,
    open_engine,
    open_reader_engine,
    warn_of_wal_reset_bug,
)

Open = Callable[[str], object]
CLIENTS = (
    pytest.param(lambda url: open_engine(url, service="test", busy_timeout_s=0), id="writer"),
    pytest.param(lambda url: open_reader_engine(url, service="test", busy_timeout_s=0), id="reader"),
)


def say(code: str, file: Path) -> dict[str, Any]:
    """Run `code` on `file` as an unprivileged user; root may read and write everything."""
    program = (
        "import json, os\nfrom core.errors import TickerdError\nfrom storage.engine import *\n"
        "if os.getuid() == 0:\n    os.setuid(65534)\n"
        f"url = 'sqlite:///{file}'\ntry:\n    {code}\nexcept TickerdError as error:\n"
        "    print(json.dumps({'said': str(error), 'code': error.exit_code}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if '"said"' in done.stdout else {}
    return said


@pytest.fixture
def open_folder(sqlite_template: Path) -> Iterator[Path]:
    """A folder that an unprivileged user can reach, with a database in it."""
    folder = Path(tempfile.mkdtemp(prefix="tickerd-"))
    shutil.copy(sqlite_template, folder / "tickerd.db")
    folder.chmod(0o777)
    (folder / "tickerd.db").chmod(0o666)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("open_it", CLIENTS)
def test_a_missing_folder_is_named(tmp_path: Path, open_it: Open) -> None:
    with pytest.raises(FixByHand, match=r"no/tickerd\.db: the folder .*no does not exist; create it or set") as caught:
        open_it(f"sqlite:///{tmp_path}/no/tickerd.db")
    assert caught.value.exit_code == 78
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_it", CLIENTS)
def test_a_missing_file_is_not_made(tmp_path: Path, open_it: Open) -> None:
    with pytest.raises(FixByHand, match=r"tickerd\.db: does not exist; create it with `tickerd db upgrade`"):
        open_it(f"sqlite:///{tmp_path}/tickerd.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_it", CLIENTS)
def test_a_folder_is_no_database(tmp_path: Path, open_it: Open) -> None:
    with pytest.raises(FixByHand, match="is not a file"):
        open_it(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_named_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "tickerd.db"
    file.write_text("not a database, " * 100)
    for action in (schema_version.check, schema_version.upgrade):
        with pytest.raises(FixByHand, match=r"tickerd\.db: is not a SQLite database; move it away"):
            action(f"sqlite:///{file}")
    assert file.read_text() == "not a database, " * 100
    assert [path.name for path in tmp_path.iterdir()] == ["tickerd.db"]


def test_a_read_only_file_is_refused_for_writing(open_folder: Path) -> None:
    file = open_folder / "tickerd.db"
    file.chmod(0o444)
    said = say("open_engine(url, service='test')", file)
    assert said["said"] == f"{file}: is read-only; allow this user to write to it"
    assert said["code"] == 78


def test_a_read_only_folder_is_refused_for_writing(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    said = say("open_engine(url, service='test')", open_folder / "tickerd.db")
    assert f"the folder {open_folder} cannot be written; allow this user to write to it" in said["said"]


def test_an_unreadable_file_is_refused_for_reading(open_folder: Path) -> None:
    (open_folder / "tickerd.db").chmod(0o000)
    assert "cannot be read; allow" in say("open_reader_engine(url, service='t')", open_folder / "tickerd.db")["said"]


def test_a_reader_reads_a_file_that_it_cannot_write(open_folder: Path) -> None:
    (open_folder / "tickerd.db").chmod(0o444)
    code = "open_reader_engine(url, service='t').connect().exec_driver_sql('SELECT count(*) FROM app_meta').scalar()"
    assert say(code, open_folder / "tickerd.db") == {}


def test_a_locked_database_asks_to_try_later(sqlite_file: Path) -> None:
    holder = sqlite3.connect(sqlite_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    engine = open_engine(f"sqlite:///{sqlite_file}", service="test", busy_timeout_s=0)
    with pytest.raises(RetryLater, match=r"tickerd\.db: is locked by another program") as caught, engine.begin():
        pass
    assert caught.value.exit_code == 75
    holder.close()
    engine.dispose()


def test_readers_go_on_while_a_writer_writes(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    writing, reading = open_engine(url, service="test"), open_reader_engine(url, service="test", busy_timeout_s=0)
    with writing.begin() as connection:
        connection.execute(text("INSERT INTO app_meta VALUES ('k', 'v')"))
        with reading.connect() as other:
            assert other.execute(text("SELECT count(*) FROM app_meta WHERE key = 'k'")).scalar() == 0
    with reading.connect() as other:
        assert other.execute(text("SELECT count(*) FROM app_meta WHERE key = 'k'")).scalar() == 1
    writing.dispose()
    reading.dispose()


def test_a_reader_cannot_write(database_url: str) -> None:
    engine = open_reader_engine(database_url, service="test")
    with pytest.raises(Exception, match=r"(?i)read-?only"), engine.begin() as connection:
        connection.execute(text("INSERT INTO app_meta VALUES ('k', 'v')"))
    engine.dispose()


def test_a_writers_file_is_in_wal_mode_with_the_chosen_pragmas(sqlite_file: Path) -> None:
    engine = open_engine(f"sqlite:///{sqlite_file}", service="test", busy_timeout_s=7)
    with engine.begin() as connection:
        wanted = {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 7000, "foreign_keys": 1, "temp_store": 2}
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted
    engine.dispose()


def test_a_server_that_is_away_asks_to_try_later_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://me:secret@/tickerd?host={tmp_path}"
    with pytest.raises(RetryLater, match="does not answer") as caught:
        open_engine(url, service="test").connect()
    assert "secret" not in str(caught.value)


def test_a_path_with_odd_characters_is_one_path(tmp_path: Path) -> None:
    file = tmp_path / "a ?#% ü.db"
    schema_version.upgrade(f"sqlite:///{file}")
    assert schema_version.check(f"sqlite:///{file}").state == "current"
    assert file.is_file()


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_the_versions_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


def test_the_bug_is_said_where_it_is() -> None:
    with capture_logs() as logs:
        assert warn_of_wal_reset_bug((3, 40, 1))
        assert not warn_of_wal_reset_bug((3, 53, 4))
    assert [(entry["event"], entry["version"]) for entry in logs] == [("sqlite_wal_reset_bug_present", "3.40.1")]


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_only_a_durable_commit_waits_for_the_disk(sqlite_file: Path, durable: bool, level: int) -> None:
    engine = open_engine(f"sqlite:///{sqlite_file}", service="test")
    for asked, expected in ((durable, level), (not durable, 3 - level)):
        with engine.execution_options(**{FULL_BY_OPTION: asked}).begin() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected
    engine.dispose()


def test_a_new_file_gives_freed_pages_back_bit_by_bit(tmp_path: Path) -> None:
    schema_version.upgrade(f"sqlite:///{tmp_path}/new.db")
    with sqlite3.connect(tmp_path / "new.db") as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_a_database_that_turns_read_only_asks_to_try_later(database_url: str) -> None:
    engine = open_engine(database_url, service="test")
    read_only = {"sqlite": "PRAGMA query_only=ON", "postgresql": "SET TRANSACTION READ ONLY"}[engine.dialect.name]
    with pytest.raises(RetryLater, match=r"(?i)read-?only"), engine.begin() as connection:
        connection.exec_driver_sql(read_only)
        connection.exec_driver_sql("INSERT INTO app_meta VALUES ('k', 'v')")
    engine.dispose()


def test_a_session_has_its_time_outs(postgresql_url: str) -> None:
    wanted = {
        "statement_timeout": "15s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        "application_name": "prices",
    }
    engine = open_engine(postgresql_url, service="prices")
    with engine.connect() as connection:
        assert {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in wanted} == wanted
    engine.dispose()


def test_another_writers_lock_is_waited_for_five_seconds_at_most(postgresql_url: str) -> None:
    """The time-out of a lock also bounds the wait for an advisory one."""
    engine = open_engine(postgresql_url, service="test")
    with engine.connect() as holder, engine.connect() as other:
        holder.exec_driver_sql("SELECT pg_advisory_xact_lock(815001)")
        other.exec_driver_sql("SET lock_timeout = '50ms'")
        with pytest.raises(RetryLater, match="is busy") as caught:
            other.exec_driver_sql("SELECT pg_advisory_xact_lock(815001)")
    assert is_contention(caught.value.__cause__)
    engine.dispose()


def test_a_migration_beside_a_running_writer_costs_one_retry(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, service="test")
    admin = open_engine(postgresql_url, service="admin")

    def read() -> int:
        with engine.begin() as connection:
            return len(connection.exec_driver_sql("SELECT * FROM lease").keys())

    assert [read() for _ in range(8)] == [4] * 8, "by now the driver has prepared it"
    with admin.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE lease ADD COLUMN more TEXT")
    with pytest.raises(RetryLater) as caught:
        read()
    assert is_contention(caught.value.__cause__)
    assert read() == 5
    engine.dispose()
    admin.dispose()


def test_a_reader_outlives_a_migration(postgresql_url: str) -> None:
    engine, admin = open_reader_engine(postgresql_url, service="test"), open_engine(postgresql_url, service="admin")
    counts = []
    for columns in (8, 8):
        for _ in range(columns):
            with engine.connect() as connection:
                counts.append(len(connection.exec_driver_sql("SELECT * FROM lease").keys()))
        with admin.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE lease ADD COLUMN IF NOT EXISTS more TEXT")
    assert counts == [4] * 8 + [5] * 8
    engine.dispose()
    admin.dispose()
