from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from core.settings import Market, Retention
from market.sessions import Calendar, build_calendar
from storage import scans
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.housekeeping import Housekeeper, give_back, prune
from storage.runs import start_run
from storage.writer import Writer
from tests.fix_storage import NOON

DAY = timedelta(days=1)
AFTER_CLOSE = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
COUNTS = CoverageCounts(fresh=1, unchanged=0, no_trade=0, unknown=0, total=1)
TWO_DAYS = Retention(coverage_minute_days=2, scanner_event_days=2, scanner_run_days=2)


def calendar(name: str = "XNYS") -> Calendar:
    return build_calendar(Market(calendar=name), read=lambda path: path.read_text())


def fill(writer: Writer, *, days: int) -> None:
    """A minute, a run and an event on each of the last `days` days; the events are of two sources in turn."""
    for age in range(days):
        at = NOON - age * DAY
        write_coverage_minute(writer, at, "price", COUNTS)
        start_run(writer, scanner=f"s{age}", session_date=at.date(), expected=1, at=at)
        row = {"at": at, "source": "old" if age > 3 else "new", "seq": days - age, "process": "prices", "event": "e"}
        unsaid = dict.fromkeys(("from_state", "to_state", "cause", "pid", "exit_code", "signal", "detail"))
        writer.run(lambda tx, row=row, unsaid=unsaid: tx.execute("put_event", row | unsaid), source="events")  # type: ignore[misc]


def ages(reader: Engine, table: str, column: str) -> list[int]:
    with reader.connect() as connection:
        rows = connection.execute(text(f"SELECT {column} FROM {table}")).scalars().all()
    times = (datetime.fromisoformat(row).replace(tzinfo=UTC) if isinstance(row, str) else row for row in rows)
    return sorted(round((NOON - time) / DAY) for time in times)


def test_what_is_old_goes_but_for_the_newest_event_of_each_source(writer: Writer, reader: Engine) -> None:
    fill(writer, days=7)
    assert prune(writer, now=NOON, retention=TWO_DAYS) == {
        "coverage_minute": 4,
        "scanner_event": 3,
        "scanner_run": 4,
        "scan_results": 0,
        "scan_errors": 0,
        "scans": 0,
        "signals": 0,
        "signal_event": 0,
        "audit_log": 0,
        "refresh_token": 0,
        "sign_in": 0,
        "api_idempotency": 0,
    }
    assert ages(reader, "coverage_minute", "minute") == [0, 1, 2]
    assert ages(reader, "scanner_run", "started_at") == [0, 1, 2]
    assert ages(reader, "scanner_event", "at") == [0, 1, 2, 4], "the newest of `old` says where the recorder was"
    assert set(prune(writer, now=NOON, retention=TWO_DAYS).values()) == {0}


def test_it_works_once_a_day_and_never_while_the_market_is_open(writer: Writer) -> None:
    keeper = Housekeeper(writer, calendar(), Retention())
    assert not keeper.work_if_due(NOON)
    assert keeper.work_if_due(AFTER_CLOSE)
    assert not keeper.work_if_due(AFTER_CLOSE + DAY - timedelta(seconds=1))
    again = Housekeeper(writer, calendar(), Retention())
    assert not again.work_if_due(AFTER_CLOSE + DAY - timedelta(seconds=1)), "a restart does not forget"
    assert again.work_if_due(AFTER_CLOSE + DAY)


def test_each_table_is_kept_as_long_as_its_setting_says(writer: Writer, reader: Engine) -> None:
    fill(writer, days=4)
    kept = Retention(coverage_minute_days=1, scanner_event_days=2, scanner_run_days=3)
    keeper = Housekeeper(writer, calendar("always"), kept)
    assert keeper.work_if_due(NOON)
    assert ages(reader, "coverage_minute", "minute") == [0, 1]
    assert ages(reader, "scanner_event", "at") == [0, 1, 2]
    assert ages(reader, "scanner_run", "started_at") == [0, 1, 2, 3]


def test_a_market_without_an_end_is_kept_too(writer: Writer) -> None:
    assert Housekeeper(writer, calendar("always"), Retention()).work_if_due(NOON)


def test_freed_pages_go_back_to_the_disk(writer: Writer, sqlite_file: Path, reader: Engine) -> None:
    if reader.dialect.name == "postgresql":
        assert give_back(writer, free_pages=0) == 0
        return
    rows = [{"key": str(number), "value": "x" * 4000} for number in range(2500)]
    writer.run(lambda tx: tx.execute_many("put_meta", rows), source="test")
    writer.run(lambda tx: tx.connection.exec_driver_sql("DELETE FROM app_meta WHERE value LIKE 'xxx%'"), source="test")
    with reader.connect() as connection:
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar()
    assert free is not None
    assert free > 2000
    assert give_back(writer, free_pages=100) == free - 100
    with reader.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 100


def test_old_scans_go_with_all_that_belongs_to_them_and_signals_that_are_still_in_stay(
    writer: Writer, reader: Engine
) -> None:
    found = {"ticker": "A", "seq": 1, "session": "2026-11-20", "values": {}, "flags": []}
    error = {"stage": "data_fetching", "ticker": "A", "error": "away"}
    ended = scans.Ended(status="complete", values={}, results=[found], errors=[error])
    for age, name in ((9, "old"), (1, "new")):
        at = NOON - age * DAY
        scans.begin(writer, name, {}, name=None, at=at)
        scans.end(writer, name, ended, at=at)
        scans.renew_signals(writer, name, name, [found], whole=True, at=at)
    scans.renew_signals(writer, "gone", "old", [found], whole=True, at=NOON - 9 * DAY)
    scans.renew_signals(writer, "gone", "old", [], whole=True, at=NOON - 8 * DAY)
    kept = Retention(scan_days=2, signal_days=2)
    pruned = prune(writer, now=NOON, retention=kept)
    assert {table: rows for table, rows in pruned.items() if rows} == {
        "scan_results": 1,
        "scan_errors": 1,
        "scans": 1,
        "signals": 1,
        "signal_event": 2,  # the newest stays: its number is not given again
    }
    assert [row["id"] for row in scans.read_scans(reader, limit=9)] == ["new"]
    assert [row["ticker"] for row in scans.read_results(reader, "new")] == ["A"]
    assert {row["scan"] for row in scans.read_signals(reader, name=None, active=True, limit=9)} == {"old", "new"}
