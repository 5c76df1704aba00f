"""Fixtures of the database: a prepared SQLite file, a private PostgreSQL cluster, a clock that stands still."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from market.universe import Listing
from storage import schema_version
from storage.engine import open_engine, open_reader_engine
from storage.universe import load_universe
from storage.writer import Writer

POSTGRESQL_BINS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
OPENS_AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CLOSES_AT = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@dataclass
class StillClock:
    """Stands at `at` until a test moves it; sleeping moves it."""

    at: datetime = NOON

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def utc_now(self) -> datetime:
        return self.at

    async def sleep(self, duration_s: float) -> None:
        self.at += timedelta(seconds=duration_s)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "tickerd.db"
    schema_version.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_file(sqlite_template: Path, tmp_path: Path) -> Path:
    """A SQLite file with our schema and no rows."""
    return Path(shutil.copy(sqlite_template, tmp_path / "tickerd.db"))


@pytest.fixture
def sqlite_engine(sqlite_file: Path) -> Iterator[Engine]:
    """Writes to that file."""
    engine = open_engine(f"sqlite:///{sqlite_file}", service="test")
    yield engine
    engine.dispose()


class Cluster:
    """A private PostgreSQL cluster in a folder of its own; it refuses to run as root, so then as `postgres`."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self.folder = folder
        self._user = "postgres" if os.getuid() == 0 else None
        self._options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync={fsync}"
        if self._user is not None:
            shutil.chown(folder, self._user, self._user)
        how = ["-U", "tickerd", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._control("initdb", "-D", self.data, *how)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://tickerd@/{database}?host={self.folder}"

    def start(self) -> None:
        self._control("pg_ctl", "-D", self.data, "-w", "-l", str(self.folder / "log"), "-o", self._options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._control("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def administer(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} user=tickerd dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _control(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(POSTGRESQL_BINS[-1].with_name(program)), *arguments],
            check=True,
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )


@contextmanager
def running_cluster(*, fsync: bool = False, where: Path | None = None) -> Iterator[Cluster]:
    """A cluster that runs in a new folder of `where`; its database `template_tickerd` has our schema and no rows."""
    if not POSTGRESQL_BINS:
        pytest.skip("PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="tickerd-pg-", dir=where))
    cluster = Cluster(folder, fsync=fsync)
    cluster.start()
    try:
        cluster.administer("CREATE DATABASE template_tickerd")
        schema_version.upgrade(cluster.url("template_tickerd"))
        yield cluster
    finally:
        with suppress(subprocess.CalledProcessError):  # a test may have stopped it
            cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The folder of the cluster that most tests share."""
    with running_cluster() as cluster:
        yield str(cluster.folder)


def _administer(folder: Path | str, statement: str) -> None:
    with psycopg.connect(f"host={folder} user=tickerd dbname=postgres", autocommit=True) as connection:
        connection.execute(statement.encode())


_numbers = itertools.count(1)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A PostgreSQL database with our schema and no rows."""
    name = f"test_{next(_numbers)}"
    _administer(postgresql_server, f"CREATE DATABASE {name} TEMPLATE template_tickerd")
    yield f"postgresql+psycopg://tickerd@/{name}?host={postgresql_server}"
    _administer(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database with our schema and no rows, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def still_clock() -> StillClock:
    return StillClock()


@pytest.fixture
def writer(database_url: str, still_clock: StillClock) -> Iterator[Writer]:
    """A writer of practice data whose database lists A, B and C."""
    with Writer.open(database_url, service="test", origin="practice", clock=still_clock) as opened:
        load_universe(opened, [Listing(ticker=ticker) for ticker in ("A", "B", "C")])
        yield opened


@pytest.fixture
def reader(database_url: str) -> Iterator[Engine]:
    engine = open_reader_engine(database_url, service="test")
    yield engine
    engine.dispose()


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """A database without a table, of the same kind as `database_url`."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server, name = str(request.getfixturevalue("postgresql_server")), f"empty_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name}")
    yield f"postgresql+psycopg://tickerd@/{name}?host={server}"
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")
