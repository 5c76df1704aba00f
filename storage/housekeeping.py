"""Prunes the tables that grow, makes partitions ahead and gives SQLite's freed pages back, once a day after hours.

Works in short transactions, so that no scanner waits for it. Never touches prices, a bar that the daily refresh would
fetch again, or the newest event of a source: from that the recorder knows where it was.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from core.logs import get_logger
from core.settings import Retention
from market.sessions import Calendar
from storage.partitions import drop_before, make_years
from storage.writer import Transaction, Writer

log = get_logger(__name__)

EVERY = timedelta(days=1)
DONE_AT = "housekeeping_at"
ANSWERS_DAYS = 1
"""So long the answer to a request that may be repeated is kept."""
FREE_PAGES = 1000  # of 4 KiB: what the next day needs again anyway
PAGES_A_TRANSACTION = 1000
TICKERS_A_TRANSACTION = 500
DAYS_A_SESSION = 1.5
"""No calendar of ours has fewer sessions than two in three days."""


class Housekeeper:
    """Knows when its work was done last; asked every second, it works once a day."""

    def __init__(self, writer: Writer, calendar: Calendar, retention: Retention, history_days: int = 0) -> None:
        """`history_days`: sessions whose bars the daily refresh keeps whole."""
        self._writer, self._calendar, self._retention = writer, calendar, retention
        self._bar_days = max(float(retention.daily_bar_days), history_days * DAYS_A_SESSION)
        done_at = writer.run(_done_at, source="housekeeping")
        self._next_at = None if done_at is None else datetime.fromisoformat(done_at) + EVERY

    def work_if_due(self, now: datetime) -> bool:
        """Prune and give back if a day has passed and no session is open; True if that was done."""
        if self._next_at is not None and now < self._next_at:
            return False
        if self._calendar.session_at(now) and not self._calendar.endless:
            return False
        self._writer.run(lambda tx: make_years(tx, (now.year, now.year + 1)), source="housekeeping")
        pruned = prune(self._writer, now=now, retention=self._retention)
        pruned["stocks_daily_bar"] = prune_bars(self._writer, (now - timedelta(days=self._bar_days)).date())
        pages = give_back(self._writer)
        done = {"key": DONE_AT, "value": now.isoformat()}
        self._writer.run(lambda tx: tx.execute("put_meta", done), source="housekeeping", durable=True)
        self._next_at = now + EVERY
        log.info("housekeeping_done", rows_pruned=pruned, pages_given_back=pages)
        return True


def _done_at(tx: Transaction) -> str | None:
    value: str | None = tx.execute("read_meta", {"key": DONE_AT}).scalar_one_or_none()
    return value


def prune(writer: Writer, *, now: datetime, retention: Retention) -> dict[str, int]:
    """Delete what is older than `retention` says; return how many rows of each table."""
    days = {
        "coverage_minute": retention.coverage_minute_days,
        "scanner_event": retention.scanner_event_days,
        "scanner_run": retention.scanner_run_days,
        # what belongs to a scan goes before the scan, by whose age it is found
        "scan_results": retention.scan_days,
        "scan_errors": retention.scan_days,
        "scans": retention.scan_days,
        "signals": retention.signal_days,
        "signal_event": retention.signal_days,
        "audit_log": retention.audit_days,
        "refresh_token": retention.audit_days,
        "sign_in": retention.audit_days,
        "api_idempotency": ANSWERS_DAYS,
    }
    sessions = {
        "listing_event": retention.listing_event_days,
        "quality_refusal": retention.scanner_run_days,
        "truth_finding": retention.scanner_run_days,
        "truth_audit": retention.scanner_run_days,
    }
    pruned = {table: _prune(writer, table, now - timedelta(days=age)) for table, age in days.items()}
    return pruned | {
        table: _prune(writer, table, (now - timedelta(days=age)).date()) for table, age in sessions.items()
    }


def prune_bars(writer: Writer, before: date) -> int:
    """Delete the bars of sessions before `before`; return how many rows, those of dropped partitions not counted."""
    if writer.run(lambda tx: _drop_years(tx, before), source="daily_bars"):
        log.info("bar_partitions_dropped", before=str(before))
    tickers = writer.run(lambda tx: sorted(row.ticker for row in tx.execute("read_all_tickers")), source="housekeeping")
    starts = range(0, len(tickers), TICKERS_A_TRANSACTION)
    return sum(_prune_bars_of(writer, tickers[start : start + TICKERS_A_TRANSACTION], before) for start in starts)


def _drop_years(tx: Transaction, before: date) -> list[int]:
    dropped = drop_before(tx, before)
    tx.wrote(len(dropped))
    return dropped


def _prune_bars_of(writer: Writer, tickers: list[str], before: date) -> int:
    def body(tx: Transaction) -> int:
        rows = tx.execute_many("prune_daily_bars", [{"ticker": ticker, "before": before} for ticker in tickers])
        tx.wrote(rows)
        return rows

    return writer.run(body, source="daily_bars")


def _prune(writer: Writer, table: str, before: datetime | date) -> int:
    pruned = 0
    while rows := writer.run(
        lambda tx: tx.execute(f"prune_{table}", {"before": before}).rowcount, source="housekeeping"
    ):
        pruned += rows
    return pruned


def give_back(writer: Writer, *, free_pages: int = FREE_PAGES) -> int:
    """Shrink a SQLite file to at most `free_pages` unused pages; return how many it lost. PostgreSQL does it itself."""
    given = 0
    while pages := writer.run(lambda tx: _shrink(tx, free_pages), source="housekeeping"):
        given += pages
    return given


def _shrink(tx: Transaction, free_pages: int) -> int:
    if tx.dialect != "sqlite":
        return 0

    def free() -> int:
        return int(tx.connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())

    before = free()
    if before > free_pages:
        cursor = tx.connection.connection.cursor()
        cursor.execute(f"PRAGMA incremental_vacuum({min(PAGES_A_TRANSACTION, before - free_pages)})")
        cursor.fetchall()  # each step frees one page
    return before - free()
