"""The one way to write: whole transactions under one lock, with the right to write checked each time.

Never holds a transaction open between calls and never writes for a stale epoch or the other market's data.
"""

from __future__ import annotations

import platform
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import Connection, CursorResult, Engine

from core.clock import Clock, pause
from core.errors import FixByHand, RetryLater
from core.logs import get_logger
from storage import schema_version
from storage.engine import (
    BUSY_TIMEOUT_S,
    FULL_BY_OPTION,
    file_id,
    file_of,
    is_contention,
    open_engine,
    translate,
    writers_lock,
)
from storage.queries import query
from storage.schema import parameter
from storage.wal import LogKeeper

log = get_logger(__name__)
T = TypeVar("T")
Origin = Literal["live", "practice"]
ATTEMPTS = 5
FIRST_WAIT_S = 0.05  # with jitter, doubled each time: two writers that met do not meet again
RETRY_WITHIN_S = 10.0  # an attempt may itself wait as long; after that the caller knows better what to do
LEASE = "writer"


class StaleWriter(FixByHand):
    """Another epoch has taken over: this process must never write again."""


class Transaction:
    """One open transaction: `seq` is the change number of its rows, `now` the time of its start."""

    def __init__(self, connection: Connection, url: str, *, seq: int, now: datetime) -> None:
        self.connection, self.seq, self.now = connection, seq, now
        self._url = url
        self.dialect = connection.dialect.name
        self.rows_changed = 0

    def execute(self, name: str, values: dict[str, Any] | None = None) -> CursorResult[Any]:
        """Run the named statement once."""
        given = {key: parameter(value, self.dialect) for key, value in (values or {}).items()}
        return self.connection.exec_driver_sql(query(name, self.dialect), given)

    def execute_many(self, name: str, rows: Sequence[dict[str, Any]]) -> int:
        """Run the named statement for each row; return how many rows of the table it touched."""
        if not rows:
            return 0
        given = [{key: parameter(value, self.dialect) for key, value in row.items()} for row in rows]
        return self.connection.exec_driver_sql(query(name, self.dialect), given).rowcount

    def execute_prepared(self, name: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run the named statement for rows whose values are in the driver's form: SQLite's hot path, past SQLAlchemy.

        The driver takes the rows one by one; a list of thousands of tuples would cost a tenth of the flush.
        """
        cursor = self.connection.connection.cursor()
        try:
            cursor.executemany(query(name, self.dialect), rows)  # type: ignore[arg-type]  # sqlite3 takes any iterable
        except sqlite3.Error as error:
            raise translate(error, self._url) or error from error
        return cursor.rowcount

    def wrote(self, rows: int) -> None:
        """Note that `rows` rows carry this transaction's `seq`: its source's change marker then moves to it."""
        self.rows_changed += rows


class Writer:
    """Writes to one database for one process; used by any of its threads."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        *,
        service: str,
        origin: Origin | None,
        epoch: int,
        clock: Clock,
        busy_timeout_s: float,
        wait: Callable[[float], None],
    ) -> None:
        self._engine, self._url, self._service = engine, url, service
        self.dialect = engine.dialect.name
        self._origin, self._epoch, self.clock, self._wait = origin, epoch, clock, wait
        self._busy_timeout_s = busy_timeout_s
        self._file_id = file_id(url)
        self._introduced = False  # whether lease and origin are in the database since it was opened
        file = file_of(url)
        self._log_keeper = None if file is None else LogKeeper(file)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        service: str,
        origin: Origin | None,
        clock: Clock,
        epoch: int = 1,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        wait: Callable[[float], None] = pause,
    ) -> Self:
        """Return a writer if the database is there with the schema of this program; else FixByHand or RetryLater.

        `origin` None: a writer of what no market said (universe, events); it neither sets nor checks the origin.
        """
        schema_version.require_current(url)
        engine = open_engine(url, service=service, busy_timeout_s=busy_timeout_s)
        return cls(
            engine,
            url,
            service=service,
            origin=origin,
            epoch=epoch,
            clock=clock,
            busy_timeout_s=busy_timeout_s,
            wait=wait,
        )

    def close(self) -> None:
        """Close the connections. On SQLite that may write back the log, so the lock is held.

        If another keeps the lock they are left to the end of this process, which loses nothing.
        """
        with suppress(RetryLater), self._lock():
            self._engine.dispose()

    def _lock(self) -> AbstractContextManager[None]:
        return writers_lock(self._url, timeout_s=self._busy_timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, source: str, durable: bool = False) -> Iterator[Transaction]:
        """Run the body in one transaction; commit at its end, roll back on any error.

        `durable`: what is committed outlives a power cut even on SQLite. So is the first transaction of each writer,
        which may note lease and origin. Raises StaleWriter or FixByHand before the body if this process may not write
        here, RetryLater if the database is away or another keeps it.
        """
        self._follow_file()
        durable = durable or not self._introduced
        with self._lock():
            with self._engine.execution_options(**{FULL_BY_OPTION: durable}).begin() as connection:
                tx = self._begun(connection)
                yield tx
                if tx.rows_changed:
                    marker = {"source": source, "seq": tx.seq, "epoch": self._epoch, "committed_at": tx.now}
                    tx.execute("bump_change_marker", marker)
            self._introduced = True
            if self._log_keeper:
                self._log_keeper.keep(now_s=self.clock.monotonic_s())

    def _begun(self, connection: Connection) -> Transaction:
        """Return the transaction that has just begun, once it is known that this process may write in it."""
        tx = Transaction(connection, self._url, seq=0, now=self.clock.utc_now())
        if tx.dialect == "postgresql":
            tx.execute("lock_writers")
        self._check_lease(tx)
        self._check_origin(tx)
        tx.seq = int(tx.execute("next_seq").scalar_one())
        return tx

    def run(self, body: Callable[[Transaction], T], *, source: str, durable: bool = False) -> T:
        """Run `body` in a transaction, again from the start (at most 5 times) where another writer was in the way.

        `body` must be a pure function of its batch. RetryLater: the database is away or stayed busy.
        """
        deadline_s = self.clock.monotonic_s() + RETRY_WITHIN_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.transaction(source=source, durable=durable) as tx:
                    return body(tx)
            except RetryLater as error:
                last = attempt == ATTEMPTS or self.clock.monotonic_s() >= deadline_s
                if last or not is_contention(error.__cause__):
                    raise
                log.info("transaction_retried", source=source, attempt=attempt)
                self._wait(random.uniform(0.5, 1.0) * FIRST_WAIT_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _follow_file(self) -> None:
        """Let go of a SQLite file that was replaced, say by a backup: SQLite would go on writing to the old one."""
        found = file_id(self._url)
        if found != self._file_id:
            schema_version.require_current(self._url)
            self._engine.dispose()
            self._file_id = found
            self._introduced = False

    def _check_lease(self, tx: Transaction) -> None:
        epoch = tx.execute("read_lease", {"name": LEASE}).scalar_one_or_none()
        if epoch is None:
            tx.execute("insert_lease", {"name": LEASE, "holder": platform.node(), "epoch": self._epoch})
        elif epoch != self._epoch:
            raise StaleWriter(
                f"epoch {epoch} writes now, this process is of epoch {self._epoch}",
                where=self._said_url(),
                right="restart this process",
            )

    def _check_origin(self, tx: Transaction) -> None:
        if self._origin is None:
            return
        origin = tx.execute("read_meta", {"key": "origin"}).scalar_one_or_none()
        if origin is None:
            tx.execute("put_meta", {"key": "origin", "value": self._origin})
            tx.execute("put_meta", {"key": "first_write", "value": tx.now.isoformat()})
        elif origin != self._origin:
            raise FixByHand(
                f"holds {origin} data and these are {self._origin} data",
                where=self._said_url(),
                key="database.url",
                right=f"give the {self._origin} data a database of their own",
            )

    def _said_url(self) -> str:
        return str(file_of(self._url) or self._engine.url)
