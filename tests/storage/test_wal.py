from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from storage.wal import EVERY_S, LogKeeper


@pytest.fixture
def log_file(sqlite_file: Path) -> Iterator[Path]:
    """The log of the file, some 400 kB long, with a connection that keeps it there."""
    connection = sqlite3.connect(sqlite_file, isolation_level=None)
    connection.execute("CREATE TABLE filler (text TEXT)")
    for _ in range(100):
        connection.execute("INSERT INTO filler VALUES (?)", ["x" * 3000])
    yield sqlite_file.with_name("tickerd.db-wal")
    connection.close()


def test_a_log_that_is_too_long_is_emptied_and_its_rows_stay(sqlite_file: Path, log_file: Path) -> None:
    assert log_file.stat().st_size > 300_000
    assert LogKeeper(sqlite_file, limit_bytes=300_000).keep(now_s=0.0)
    assert log_file.stat().st_size == 0
    with sqlite3.connect(sqlite_file) as connection:
        assert connection.execute("SELECT count(*) FROM filler").fetchone() == (100,)
    connection.close()


def test_a_short_log_is_left_alone(sqlite_file: Path, log_file: Path) -> None:
    size = log_file.stat().st_size
    assert not LogKeeper(sqlite_file).keep(now_s=0.0)
    assert log_file.stat().st_size == size


def test_no_log_is_no_error(tmp_path: Path) -> None:
    assert not LogKeeper(tmp_path / "none.db", limit_bytes=0).keep(now_s=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_stays_is_waited_for_only_a_moment_and_said(sqlite_file: Path, log_file: Path) -> None:
    reader = sqlite3.connect(sqlite_file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM filler").fetchone()
    keeper = LogKeeper(sqlite_file, limit_bytes=300_000, wait_s=0.01)
    with capture_logs() as logs:
        assert not keeper.keep(now_s=0.0)
    assert [entry["event"] for entry in logs] == ["sqlite_log_not_emptied"]
    reader.close()
    assert not keeper.keep(now_s=EVERY_S - 1), "not asked again at each flush"
    assert keeper.keep(now_s=EVERY_S + 1)
    assert log_file.stat().st_size == 0
