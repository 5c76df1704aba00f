from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.errors import FixByHand, RetryLater
from storage import dump
from storage.dump import address, find, server_major
from storage.engine import open_reader_engine

URL = "postgresql+psycopg://me:s%40cret@db.example:5433/stocks?sslmode=require"


def test_the_password_goes_through_the_environment_alone() -> None:
    environ, database = address(URL)
    assert environ == {"PGPASSWORD": "s@cret"}
    assert sorted(database.split()) == [
        "dbname=stocks",
        "host=db.example",
        "port=5433",
        "sslmode=require",
        "user=me",
    ]
    assert address("postgresql+psycopg://me@/stocks?host=/run/pg") == ({}, "dbname=stocks user=me host=/run/pg")


def test_the_program_of_the_servers_version_is_taken_before_the_one_in_the_path(tmp_path: Path) -> None:
    for major in ("15", "17"):
        (tmp_path / major / "bin").mkdir(parents=True)
        (tmp_path / major / "bin" / "pg_dump").touch()
    assert find("pg_dump", 15, installed=tmp_path) == str(tmp_path / "15" / "bin" / "pg_dump")


def test_a_program_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FixByHand, match="pg_dump is not installed; install the PostgreSQL 18 client programs"):
        find("pg_dump", 18, installed=tmp_path)


@pytest.fixture
def postgresql(postgresql_url: str) -> Engine:
    return open_reader_engine(postgresql_url, service="test")


def test_what_the_program_says_is_told_in_one_line(postgresql: Engine, postgresql_url: str, tmp_path: Path) -> None:
    with postgresql.connect() as connection:
        major = server_major(connection)
    postgresql.dispose()
    with pytest.raises(RetryLater, match=r"pg_restore: error: could not open input file") as caught:
        dump.restore(postgresql_url, tmp_path / "missing.dump", major=major)
    assert "\n" not in str(caught.value)
