"""The record of scanner runs. Decides nothing about when to run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Engine, exists, func, insert, select, update

from storage.schema import scanner_run
from storage.writer import Transaction, Writer

EndStatus = Literal["complete", "partial", "failed", "aborted"]
DAILY_BARS = "daily_bars"
"""The part of a daily refresh that others wait for: a session's bars are in the table."""


def start_run(writer: Writer, *, scanner: str, session_date: date, expected: int, at: datetime) -> int:
    """Note that a run starts and return its id; a run of the same scanner that never ended becomes "aborted"."""

    def body(tx: Transaction) -> int:
        unfinished = (scanner_run.c.scanner == scanner) & (scanner_run.c.status == "running")
        tx.connection.execute(update(scanner_run).where(unfinished).values(status="aborted", finished_at=at))
        row = {"scanner": scanner, "session": session_date, "started_at": at, "status": "running", "expected": expected}
        created = tx.connection.execute(insert(scanner_run).values(row)).inserted_primary_key
        assert created is not None
        return int(created[0])

    return writer.run(body, source="runs", durable=True)


def finish_run(
    writer: Writer,
    run_id: int,
    *,
    status: EndStatus,
    updated: int,
    failed: int,
    skipped: int,
    detail: Mapping[str, Any],
    at: datetime,
) -> None:
    """Note how the run ended; `detail` is kept as JSON."""
    counts = {"updated": updated, "failed": failed, "skipped": skipped}
    ended = update(scanner_run).where(scanner_run.c.id == run_id)
    values = counts | {"status": status, "detail": dict(detail), "finished_at": at}
    writer.run(lambda tx: tx.connection.execute(ended.values(values)), source="runs", durable=True)


def completed_at(engine: Engine, scanner: str, session_date: date) -> datetime | None:
    """Return when `scanner` had first finished a run for `session_date` completely; None if it has not."""
    of_session = (scanner_run.c.scanner == scanner) & (scanner_run.c.session == session_date)
    wanted = select(scanner_run.c.finished_at).where(of_session, scanner_run.c.status == "complete")
    with engine.connect() as connection:
        return connection.execute(wanted.order_by(scanner_run.c.finished_at).limit(1)).scalar_one_or_none()


def last_session_done(engine: Engine, scanner: str) -> date | None:
    """Return the newest session that `scanner` has finished completely; None if it has none."""
    of_scanner = (scanner_run.c.scanner == scanner) & (scanner_run.c.status == "complete")
    with engine.connect() as connection:
        return connection.execute(select(func.max(scanner_run.c.session)).where(of_scanner)).scalar_one_or_none()


def last_complete(engine: Engine, scanner: str, session_date: date) -> bool:
    """Whether `scanner` has finished a run for `session_date` completely."""
    done = exists().where(
        scanner_run.c.scanner == scanner,
        scanner_run.c.session == session_date,
        scanner_run.c.status == "complete",
    )
    with engine.connect() as connection:
        return bool(connection.execute(select(done)).scalar())
