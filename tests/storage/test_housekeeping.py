from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from core.settings import Market, Retention
from market.sessions import Calendar, build_calendar
from storage import scans
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.histories import replace_histories
from storage.housekeeping import Housekeeper, give_back, prune
from storage.runs import start_run
from storage.writer import Writer
from tests.fix_storage import NOON, StillClock

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
        "listing_event": 0,
        "quality_refusal": 0,
        "truth_finding": 0,
        "truth_audit": 0,
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


def bars_of(reader: Engine) -> list[str]:
    with reader.connect() as connection:
        rows = connection.execute(text("SELECT ticker, session_date FROM stocks_daily_bar ORDER BY 1, 2"))
        return [f"{ticker} {day}" for ticker, day in rows]


def seq_of_bars(reader: Engine) -> int:
    with reader.connect() as connection:
        sql = text("SELECT seq FROM change_marker WHERE source = 'daily_bars'")
        return int(connection.execute(sql).scalar_one())


def test_bars_older_than_their_days_go_and_the_cube_is_told(writer: Writer, reader: Engine) -> None:
    row = (1.0, 1.0, 1.0, 1.0, None, 1)
    days = [date(2024, 6, 3), date(2025, 11, 20), date(2025, 11, 25), date(2026, 11, 20)]
    replace_histories(writer, [(ticker, [(day, *row) for day in days]) for ticker in ("A", "B")], keep_older=False)
    before = seq_of_bars(reader)
    keeper = Housekeeper(writer, calendar("always"), Retention(daily_bar_days=365))
    assert keeper.work_if_due(NOON)
    assert bars_of(reader) == ["A 2025-11-25", "A 2026-11-20", "B 2025-11-25", "B 2026-11-20"]
    assert seq_of_bars(reader) > before


def test_bars_that_the_daily_refresh_would_fetch_again_stay(writer: Writer, reader: Engine) -> None:
    rows = [(NOON.date() - timedelta(days=age), 1.0, 1.0, 1.0, 1.0, None, 1) for age in (700, 560, 100)]
    replace_histories(writer, [("A", rows)], keep_older=False)
    assert Housekeeper(writer, calendar("always"), Retention(daily_bar_days=30), history_days=400).work_if_due(NOON)
    assert len(bars_of(reader)) == 2


def test_the_next_years_partition_is_made_ahead(postgresql_url: str, still_clock: StillClock) -> None:
    still_clock.at = datetime(2031, 12, 31, 23, 0, tzinfo=UTC)
    with Writer.open(postgresql_url, service="test", origin=None, clock=still_clock) as writer:
        assert Housekeeper(writer, calendar("always"), Retention()).work_if_due(still_clock.at)
        made = writer.run(lambda tx: tx.execute("bar_partitions").scalars().all(), source="test")
    assert {"stocks_daily_bar_2031", "stocks_daily_bar_2032"} <= set(made)


def test_what_is_kept_by_the_session_goes_by_its_date(writer: Writer, reader: Engine) -> None:
    columns = "(session, at, asked, exact, differs, not_comparable, sampled, outliers, requests, total)"
    for age in (0, 1, 2, 3):
        day = (NOON - age * DAY).date()
        sql = text(f"INSERT INTO truth_audit {columns} VALUES (:day, :at, 1, 1, 0, 0, 0, 0, 0, 1)")
        given = {"day": str(day) if reader.dialect.name == "sqlite" else day, "at": str(NOON)[:26]}
        writer.run(lambda tx, sql=sql, given=given: tx.connection.execute(sql, given), source="test")  # type: ignore[misc]
    assert prune(writer, now=NOON, retention=TWO_DAYS)["truth_audit"] == 1
    assert ages(reader, "truth_audit", "at") == [0, 0, 0]
