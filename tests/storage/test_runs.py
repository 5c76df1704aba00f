from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from storage.runs import EndStatus, completed_at, finish_run, last_complete, last_session_done, start_run
from storage.schema import scanner_run
from storage.writer import Writer
from tests.fix_storage import NOON

SESSION = date(2026, 11, 23)


def runs_in(reader: Engine) -> list[dict[str, Any]]:
    with reader.connect() as connection:
        return [dict(row) for row in connection.execute(select(scanner_run).order_by(scanner_run.c.id)).mappings()]


def test_a_run_is_recorded_from_start_to_end(writer: Writer, reader: Engine) -> None:
    run_id = start_run(writer, scanner="daily", session_date=SESSION, expected=3, at=NOON)
    started = {"id": run_id, "scanner": "daily", "session": SESSION, "started_at": NOON, "expected": 3}
    nothing_yet = dict.fromkeys(("finished_at", "updated", "failed", "skipped", "detail"))
    assert runs_in(reader) == [started | nothing_yet | {"status": "running"}]
    end = NOON + timedelta(minutes=5)
    finish_run(writer, run_id, status="partial", updated=1, failed=2, skipped=0, detail={"missing": ["B", "C"]}, at=end)
    counts = {"updated": 1, "failed": 2, "skipped": 0, "detail": {"missing": ["B", "C"]}}
    assert runs_in(reader) == [started | counts | {"status": "partial", "finished_at": end}]


def test_a_run_that_never_ended_is_aborted_by_the_next_of_its_scanner(writer: Writer, reader: Engine) -> None:
    for scanner in ("daily", "metrics", "daily"):
        start_run(writer, scanner=scanner, session_date=SESSION, expected=3, at=NOON)
    assert [(run["scanner"], run["status"]) for run in runs_in(reader)] == [
        ("daily", "aborted"),
        ("metrics", "running"),
        ("daily", "running"),
    ]
    assert runs_in(reader)[0]["finished_at"] == NOON


@pytest.mark.parametrize(("status", "complete"), [("complete", True), ("partial", False), ("failed", False)])
def test_only_a_complete_run_of_that_session_counts(
    writer: Writer, reader: Engine, status: EndStatus, complete: bool
) -> None:
    assert not last_complete(reader, "daily", SESSION)
    run_id = start_run(writer, scanner="daily", session_date=SESSION, expected=3, at=NOON)
    finish_run(writer, run_id, status=status, updated=3, failed=0, skipped=0, detail={}, at=NOON)
    assert last_complete(reader, "daily", SESSION) is complete
    assert not last_complete(reader, "metrics", SESSION)
    assert not last_complete(reader, "daily", SESSION + timedelta(days=1))


def test_a_session_was_complete_when_its_first_complete_run_ended(writer: Writer, reader: Engine) -> None:
    ends: tuple[tuple[EndStatus, int], ...] = (("partial", 1), ("complete", 2), ("complete", 3))
    for status, minutes in ends:
        run_id = start_run(writer, scanner="daily", session_date=SESSION, expected=3, at=NOON)
        assert completed_at(reader, "daily", SESSION) in (None, NOON + timedelta(minutes=2))
        end = NOON + timedelta(minutes=minutes)
        finish_run(writer, run_id, status=status, updated=3, failed=0, skipped=0, detail={}, at=end)
    assert completed_at(reader, "daily", SESSION) == NOON + timedelta(minutes=2)
    assert completed_at(reader, "daily", SESSION + timedelta(days=1)) is None


def test_the_newest_session_that_was_done_completely(writer: Writer, reader: Engine) -> None:
    assert last_session_done(reader, "daily") is None
    ends: list[tuple[int, EndStatus]] = [(2, "complete"), (1, "complete"), (0, "partial")]
    for ago, status in ends:
        session_date = SESSION - timedelta(days=ago)
        run_id = start_run(writer, scanner="daily", session_date=session_date, expected=1, at=NOON)
        finish_run(writer, run_id, status=status, updated=0, failed=0, skipped=0, detail={}, at=NOON)
    assert last_session_done(reader, "daily") == SESSION - timedelta(days=1)
    assert last_session_done(reader, "metrics") is None
