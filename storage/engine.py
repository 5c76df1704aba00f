"""Opens the database and says in one line what is wrong with it. Creates no file unless asked, changes no row.

Nothing here waits without bound: not for a lock that a stopped process holds, not for a server that has gone silent.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, ExceptionContext, QueuePool, create_engine, event
from sqlalchemy.engine.interfaces import Dialect

from core.config import redacted
from core.errors import FixByHand, RetryLater, TickerdError
from core.files import FileLock
from core.logs import get_logger

log = get_logger(__name__)

BUSY_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 15.0
ANSWER_MARGIN_S = 5.0  # the server's own time-out comes first; only a server that cannot tell is given up
SQLITE = "sqlite:///"
CONTENTION_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED")
CONTENTION_POSTGRESQL = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available in time
AWAY_POSTGRESQL = (
    "08",  # connection
    "25006",  # read-only, say a standby after a failover
    "25P03",  # ended by the server: this process stood still in mid-transaction
    "53",  # insufficient resources, a full disk
    "57",  # operator intervention, time-outs
    "58",  # input and output
)
FULL_BY_OPTION = "durable"  # execution option: the commit is on the disk when it returns, even on SQLite
WRITER_PRAGMAS = (
    "foreign_keys=ON",
    "journal_size_limit=67108864",
    "cache_size=-16384",
    "temp_store=MEMORY",
)
SESSION_POSTGRESQL = {
    "synchronous_commit": "on",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for another database."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def file_id(url: str) -> tuple[int, int] | None:
    """Return what tells the SQLite file from one of the same name; RetryLater while there is none."""
    file = file_of(url)
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError as error:
        raise RetryLater(f"is away ({error.strerror})", where=str(file), right="put the file back") from error
    return found.st_dev, found.st_ino


def open_engine(
    url: str,
    *,
    service: str,
    create: bool = False,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> Engine:
    """Return an engine for writing. `create`: the SQLite file may be made (and is then put into WAL mode).

    Every transaction of it starts with BEGIN IMMEDIATE on SQLite: a deferred one that reads and then writes
    fails at once with SQLITE_BUSY_SNAPSHOT, whatever the time-out. A commit waits for the disk only with the
    execution option "durable": prices are told again within a second, a lease or a run is not.
    """
    file = file_of(url)
    if file is None:
        return _postgresql(url, service=service, read_only=False, statement_timeout_s=statement_timeout_s)
    _check_writable(file, create=create)
    engine = _sqlite(file, mode="rwc" if create else "rw", pragmas=WRITER_PRAGMAS, busy_timeout_s=busy_timeout_s)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        level = "FULL" if connection.get_execution_options().get(FULL_BY_OPTION) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_reader_engine(url: str, *, service: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Return an engine that cannot write (SQLite `mode=ro`, PostgreSQL read-only) and never waits for writers."""
    file = file_of(url)
    if file is None:
        return _postgresql(url, service=service, read_only=True, statement_timeout_s=STATEMENT_TIMEOUT_S)
    _check_readable(file)
    return _sqlite(file, mode="ro", pragmas=("query_only=ON",), busy_timeout_s=busy_timeout_s)


@contextmanager
def writers_lock(url: str, *, timeout_s: float = BUSY_TIMEOUT_S) -> Iterator[None]:
    """Hold the one lock of all writers of a SQLite file; on another database nothing. RetryLater: others keep it.

    No commit then meets a checkpoint (see `warn_of_wal_reset_bug`) and no writer starves.
    """
    file = file_of(url)
    if file is None:
        yield
        return
    lock = FileLock(file.with_name(file.name + ".lock"))
    if not lock.acquire_within(timeout_s):
        raise RetryLater(
            f"another writer has held the lock for {timeout_s:g} s",
            where=str(lock.path),
            right="resume or end that process",
        )
    try:
        yield
    finally:
        lock.release()


def set_wal(connection: sqlite3.Connection) -> None:
    """Put the file into WAL mode, which it keeps: readers then never wait for writers."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def _sqlite(file: Path, *, mode: Literal["ro", "rw", "rwc"], pragmas: tuple[str, ...], busy_timeout_s: float) -> Engine:
    address = f"{file.absolute().as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # isolation_level=None: Python starts no transaction of its own; ours begin where the engine says so.
        connection = sqlite3.connect(
            address, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            if mode == "rwc":
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes only while the file holds no table
            if mode != "ro":
                set_wal(connection)
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    return _tell_errors(
        create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=2), f"{SQLITE}{file}"
    )


def _postgresql(url: str, *, service: str, read_only: bool, statement_timeout_s: float) -> Engine:
    session = SESSION_POSTGRESQL | {
        "statement_timeout": f"{statement_timeout_s * 1000:.0f}",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    options = " ".join(f"-c {key}={value}" for key, value in session.items())
    arguments: dict[str, Any] = {"application_name": service, "options": options, "connect_timeout": CONNECT_TIMEOUT_S}
    if read_only:
        arguments["prepare_threshold"] = None  # a migration would break a prepared plan
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat what is raised, in lines not of our form
    engine = create_engine(url, connect_args=arguments, pool_size=2, pool_pre_ping=True)

    from storage.bounded import BoundedConnection  # here: psycopg weighs 9 MB in every process, and SQLite needs none

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, _record: object, given: Any, named: Any) -> BoundedConnection:
        connection = BoundedConnection.connect(*given, **named)
        connection.patience_s = statement_timeout_s + ANSWER_MARGIN_S
        return connection

    return _tell_errors(engine, url)


def _check_writable(file: Path, *, create: bool) -> None:
    _check_folder(file)
    if not os.access(file.parent, os.W_OK | os.X_OK):
        # SQLite keeps its write-ahead log beside the file.
        raise FixByHand(
            f"the folder {file.parent} cannot be written", where=str(file), right="allow this user to write to it"
        )
    if create and not file.exists():
        return
    _check_readable(file)
    if not os.access(file, os.W_OK):
        raise FixByHand("is read-only", where=str(file), right="allow this user to write to it")


def _check_readable(file: Path) -> None:
    _check_folder(file)
    if not file.exists():
        raise FixByHand("does not exist", where=str(file), right="create it with `tickerd db upgrade`")
    if not file.is_file():
        raise FixByHand("is not a file", where=str(file), right="give the path of a SQLite file")
    if not os.access(file, os.R_OK):
        raise FixByHand("cannot be read", where=str(file), right="allow this user to read it")


def _check_folder(file: Path) -> None:
    if not file.parent.is_dir():
        raise FixByHand(
            f"the folder {file.parent} does not exist", where=str(file), right="create it or set database.url"
        )


def _tell_errors(engine: Engine, url: str) -> Engine:
    """Have the engine raise RetryLater or FixByHand where the database is at fault; our own mistakes stay."""

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> TickerdError | None:
        if context.is_pre_ping:
            return None  # a connection that the pool finds dead is replaced, which an error of ours would prevent
        if _is_plan_outdated(context.original_exception):
            context.is_disconnect = True  # this connection and all in the pool hold plans from before the migration
        return translate(context.original_exception, url)

    return engine


def is_contention(cause: BaseException | None) -> bool:
    """Whether the driver's error `cause` says that the whole transaction may simply be run again now."""
    name = getattr(cause, "sqlite_errorname", None) or ""
    state = getattr(cause, "sqlstate", None)
    return name.startswith(CONTENTION_SQLITE) or state in CONTENTION_POSTGRESQL or _is_plan_outdated(cause)


def _is_plan_outdated(cause: BaseException | None) -> bool:
    """Whether a migration has changed what a prepared statement returns; prepared anew it works."""
    return getattr(cause, "sqlstate", None) == "0A000" and "cached plan" in str(cause)


def translate(cause: BaseException, url: str) -> TickerdError | None:
    """Return what the driver's error asks of the user or the caller; None if it says nothing about the database."""
    if isinstance(cause, sqlite3.Error):
        return _translate_sqlite(cause, str(file_of(url)))
    return _translate_postgresql(cause, redacted(url))


def _translate_sqlite(cause: sqlite3.Error, where: str) -> TickerdError | None:
    name = getattr(cause, "sqlite_errorname", None) or ""
    if name.startswith(CONTENTION_SQLITE):
        return RetryLater("is locked by another program", where=where, right="end that program's transaction")
    if name.startswith("SQLITE_NOTADB"):
        return FixByHand("is not a SQLite database", where=where, right="move it away or set database.url")
    if name.startswith("SQLITE_CORRUPT"):
        return FixByHand(f"is damaged ({cause})", where=where, right="restore a backup")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return RetryLater(f"is read-only ({cause})", where=where, right="allow this user to write to it")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_PROTOCOL")):
        return RetryLater(f"does not answer ({cause})", where=where, right="check the disk")
    return None


def _translate_postgresql(cause: BaseException, where: str) -> TickerdError | None:
    state = getattr(cause, "sqlstate", None)
    first_line = (str(cause).splitlines() or [""])[0]
    if is_contention(cause):
        return RetryLater(f"is busy ({first_line})", where=where, right="try again")
    if state is None and any(kind.__name__ in ("OperationalError", "InterfaceError") for kind in type(cause).__mro__):
        return RetryLater(f"does not answer ({first_line})", where=where, right="start it or set database.url")
    if state is not None and state.startswith(AWAY_POSTGRESQL):
        return RetryLater(f"does not answer ({first_line})", where=where, right="check the server")
    return None


def warn_of_wal_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Say if this SQLite can lose a commit that meets a checkpoint (sqlite.org/wal.html#walresetbug).

    Our writers hold one file lock around each transaction, so that no commit meets a checkpoint; others may not.
    """
    if not has_wal_reset_bug(version):
        return False
    log.warning("sqlite_wal_reset_bug_present", version=".".join(map(str, version)), fixed_in="3.51.3, 3.50.7, 3.44.6")
    return True


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether SQLite `version` is 3.7.0-3.51.2 without one of the two backports."""
    backported = version[:2] in ((3, 44), (3, 50)) and version[2] >= {44: 6, 50: 7}[version[1]]
    return (3, 7, 0) <= version < (3, 51, 3) and not backported
