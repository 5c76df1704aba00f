"""What SQL tells the metrics: cycles, freshness, proxies, scans, sign-ins. Counts on from one look to the next.

A counter that is a sum over a table falls when old rows go, and a fall looks like a restart: so rows are counted once,
when they are new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Engine, case, func, select

from api.metrics import Histogram, Sheet
from api.metrics_status import PROVIDER
from storage.proxies import count_proxies
from storage.scans import ENDED
from storage.schema import audit_log, scanner_event, scanner_run, scans, signals, stocks_stock

EVER = datetime(1970, 1, 1, tzinfo=UTC)
LATE = timedelta(minutes=10)
"""So much later than its time a row may come: the recorder waits for a database that is away."""
NOW = timedelta(minutes=3)
"""So long what a cycle of a minute says of its connections is true."""
BOUNDS_S: Mapping[str, Sequence[int]] = {
    "price": (60, 120, 300),
    "metrics": (600, 1200, 3600),
    "daily": (86_400, 345_600),
}
CYCLE_S = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 10_800.0, 21_600.0)
SCAN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
WRONG_SIGN_INS = ("sign_in_failed", "refresh_token_reused")
PROXY_STATES = ("candidate", "live", "gold", "cooling", "evicted")

Row = Any
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Fresh:
    """Gives each row of a table once; rows come about in the order of their time."""

    key: Column[Any]
    at: Column[Any]
    since: datetime
    columns: tuple[Column[Any], ...]
    _given: dict[Any, datetime] = field(default_factory=dict)

    def rows(self, connection: Connection) -> Sequence[Row]:
        newest = max(self._given.values(), default=self.since)
        floor = max(self.since, newest - LATE)
        wanted = select(self.key.label("key"), self.at.label("at"), *self.columns).where(self.at >= floor)
        found = [row for row in connection.execute(wanted) if row.key not in self._given]
        self._given = {key: at for key, at in self._given.items() if at >= floor} | {row.key: row.at for row in found}
        return found


class Tables:
    """`read` in the reading thread; `put` what was counted and seen by then. `since`: rows before it do not count."""

    def __init__(self, since: datetime = EVER) -> None:
        run, scan = scanner_run.c, scans.c
        self._counts: dict[str, Counter[Labels]] = defaultdict(Counter)
        self._times: dict[tuple[str, Labels], Histogram] = {}
        self._now: list[tuple[str, float | None, dict[str, str]]] = []
        ended = (run.scanner, run.started_at, run.updated, run.failed, run.status, run.detail)
        of_scan = (scan.created_at, scan.status, scan.request, scan.processed, scan.signals, scan.reason)
        event, signal = scanner_event.c, signals.c
        self._following: tuple[tuple[Fresh, Callable[[Row], None]], ...] = (
            (Fresh(run.id, run.finished_at, since, ended), self._add_run),
            (Fresh(scan.id, scan.finished_at, since, (*of_scan, scan.timings, scan.progress)), self._add_scan),
            (Fresh(event.id, event.at, since, (event.process, event.event, event.cause)), self._add_event),
            (Fresh(audit_log.c.id, audit_log.c.at, since, (audit_log.c.action,)), self._add_sign_in),
            (Fresh(signal.id, signal.created_at, since, (signal.pattern, signal.direction)), self._add_signal),
        )
        for outcome in ENDED:
            self._count("stocks_scans_total", 0, outcome=outcome)
        for action in WRONG_SIGN_INS:
            self._count("stocks_auth_failures_total", 0, reason=action)

    def read(self, engine: Engine, now: datetime) -> None:
        """Count what is new and look at what is now."""
        with engine.connect() as connection:
            for fresh, add in self._following:
                for row in fresh.rows(connection):
                    add(row)
            self._now = []
            self._see_cycles(connection, now)
            self._see_tickers(connection, now)
            running = select(func.count()).where(scans.c.status == "running")
            self._see("stocks_scans_running", connection.execute(running).scalar_one())
        if proxies := count_proxies(engine):
            for state in PROXY_STATES:
                self._see("stocks_proxies", proxies[state], state=state)

    def forget_now(self) -> None:
        """Say nothing of what is now: it cannot be seen."""
        self._now = []

    def put(self, sheet: Sheet) -> None:
        for name, value, labels in self._now:
            sheet.put(name, value, **labels)
        for name, counts in self._counts.items():
            for of, count in counts.items():
                sheet.put(name, count, **dict(of))
        for (name, of), times in self._times.items():
            sheet.histogram(name, times, **dict(of))

    def _see(self, name: str, value: float | None, **labels: str) -> None:
        self._now.append((name, value, labels))

    def _count(self, name: str, more: int | None, **labels: str) -> None:
        self._counts[name][tuple(labels.items())] += more or 0

    def _time(self, name: str, bounds: Sequence[float], value: float | None, **labels: str) -> None:
        if value is not None:
            self._times.setdefault((name, tuple(labels.items())), Histogram(bounds)).add(value)

    def _add_run(self, row: Row) -> None:
        scanner, detail = row.scanner, row.detail or {}
        took_s = (row.at - row.started_at).total_seconds()
        if row.status != "aborted":
            self._time("stocks_scanner_cycle_duration_seconds", CYCLE_S, took_s, scanner=scanner)
        self._count("stocks_scanner_tickers_updated_total", row.updated, scanner=scanner)
        self._count("stocks_db_rows_written_total", row.updated, table="stocks_stock")
        why = {reason: count for reason, count in detail.get("why", {}).items() if not _is_well(reason)}
        for reason, count in (why or {"unknown": row.failed}).items():
            self._count("stocks_scanner_tickers_failed_total", count, scanner=scanner, reason=reason)
        failed = detail.get("failures", {})
        for outcome, count in failed.items():
            self._count("stocks_upstream_requests_total", count, provider=PROVIDER, outcome=outcome)
        well = max(0, detail.get("requests", 0) - sum(failed.values()))
        self._count("stocks_upstream_requests_total", well, provider=PROVIDER, outcome="ok")

    def _add_scan(self, row: Row) -> None:
        mode, measured = _mode(row.request), (row.progress or {}).get("measured", {})
        self._count("stocks_scans_total", 1, outcome=row.status)
        self._time("stocks_scan_duration_seconds", SCAN_S, (row.at - row.created_at).total_seconds(), mode=mode)
        first_s = measured.get("first_result_s")
        self._time("stocks_scan_time_to_first_result_seconds", SCAN_S, first_s, mode=mode)
        for stage, timing in (row.timings or {}).items():
            self._time("stocks_scan_stage_duration_seconds", SCAN_S, timing["elapsed_s"], stage=stage)
        found = row.signals or 0
        self._count("stocks_scan_symbols_total", found, outcome="signal")
        self._count("stocks_scan_symbols_total", max(0, (row.processed or 0) - found), outcome="no_signal")
        self._count("stocks_db_rows_written_total", found, table="scan_results")
        is_early = row.status == "terminated_early"
        self._count("stocks_scan_early_terminations_total", is_early, criterion=row.reason if is_early else "any")
        self._time("stocks_scan_eta_error_ratio", SHARES, measured.get("eta_error"))
        self._add_order(measured, row.processed or 0)

    def _add_order(self, measured: Mapping[str, Any], processed: int) -> None:
        tiers = measured.get("tiers") or {}
        self._count("stocks_scan_priority_reorders_total", bool(tiers))
        for tier, told in tiers.items():
            found = told["signals"]
            self._count("stocks_scan_priority_symbols_total", found, tier=tier, signal="yes")
            self._count("stocks_scan_priority_symbols_total", told["scanned"] - found, tier=tier, signal="no")
        fetched = measured.get("fetched", 0)
        self._count("stocks_scan_cache_requests_total", fetched, result="miss")
        self._count("stocks_scan_cache_requests_total", max(0, processed - fetched), result="hit")

    def _add_event(self, row: Row) -> None:
        if row.event == "scanner_restarted":
            self._count("stocks_scanner_restarts_total", 1, scanner=row.process, reason=row.cause or "unknown")

    def _add_sign_in(self, row: Row) -> None:
        if row.action in WRONG_SIGN_INS:
            self._count("stocks_auth_failures_total", 1, reason=row.action)

    def _add_signal(self, row: Row) -> None:
        labels = {"pattern": row.pattern or "", "direction": row.direction or ""}
        self._count("stocks_signals_total", 1, **labels)

    def _see_cycles(self, connection: Connection, now: datetime) -> None:
        run = scanner_run.c
        complete = select(run.scanner, func.max(run.finished_at)).where(run.status == "complete").group_by(run.scanner)
        for scanner, at in connection.execute(complete):
            self._see("stocks_scanner_cycle_last_success_timestamp_seconds", at.timestamp(), scanner=scanner)
        newest = select(func.max(run.id)).where(run.finished_at.is_not(None)).group_by(run.scanner)
        columns = (run.scanner, run.finished_at, run.updated, run.expected, run.detail)
        for scanner, at, updated, expected, detail in connection.execute(select(*columns).where(run.id.in_(newest))):
            ratio = (updated or 0) / expected if expected else None
            self._see("stocks_scanner_cycle_success_ratio", ratio, scanner=scanner)
            if now - at < NOW:
                self._see_stream((detail or {}).get("stream", {}))

    def _see_stream(self, stream: Mapping[str, int]) -> None:
        for shard in range(stream.get("connections", 0)):
            self._see("stocks_ws_upstream_connected", shard < stream["open"], shard=str(shard))

    def _see_tickers(self, connection: Connection, now: datetime) -> None:
        states = select(stocks_stock.c.is_listed, func.count()).group_by(stocks_stock.c.is_listed)
        known = {bool(listed): count for listed, count in connection.execute(states)}
        self._see("stocks_tickers", known.get(True, 0), state="active")
        self._see("stocks_tickers", known.get(False, 0), state="inactive")
        for group, bounds in BOUNDS_S.items():
            at = stocks_stock.c[f"{group}_updated_at"]
            younger = (func.count(case((at > now - timedelta(seconds=bound), 1))) for bound in bounds)
            oldest, *counts = connection.execute(select(func.min(at), *younger).where(stocks_stock.c.is_listed)).one()
            for bound, count in zip(bounds, counts, strict=True):
                self._see("stocks_quote_fresh_tickers", count, group=group, bound=f"{bound}s")
            age_s = max(0.0, (now - oldest).total_seconds()) if oldest else None
            self._see("stocks_quote_age_max_seconds", age_s, group=group)


def _is_well(reason: str) -> bool:
    return reason.startswith(("fresh", "unchanged", "no_trade"))


def _mode(request: Mapping[str, Any]) -> str:
    return "range" if request.get("since") or request.get("until") else "past" if request.get("on") else "now"
