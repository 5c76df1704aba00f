"""What /metrics may say, and how it is written: Prometheus' text format. Measures nothing itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CATALOGUE = """
gauge stocks_control_up: 1 while the orchestrator answers.
gauge stocks_market_open: 1 while the US market session is open.
gauge stocks_scanner_up: 1 while the process is running.
gauge stocks_scanner_wanted: 1 while the process should be running.
gauge stocks_scanner_start_time_seconds: Unix time since when the process is in its state.
gauge stocks_scanner_last_heartbeat_timestamp_seconds: Unix time of the last heartbeat.
counter stocks_scanner_restarts_total: Restarts of a process.
histogram stocks_scanner_cycle_duration_seconds: Duration of one full cycle.
gauge stocks_scanner_cycle_last_success_timestamp_seconds: Unix time of the last complete cycle.
gauge stocks_scanner_cycle_success_ratio: Tickers updated over tickers due in the last cycle.
counter stocks_scanner_tickers_updated_total: Ticker updates written.
counter stocks_scanner_tickers_failed_total: Ticker updates failed.
gauge stocks_process_resident_memory_bytes: Memory of a process as the orchestrator measures it.
gauge stocks_process_cpu_ratio: Cores that a process keeps busy.
gauge stocks_alert: 1 for each matter that the orchestrator says a person should look at.
gauge stocks_tickers: Tickers in the universe.
gauge stocks_quote_fresh_tickers: Listed tickers whose field group is younger than the bound.
gauge stocks_quote_age_max_seconds: Age of the stalest listed ticker.
counter stocks_upstream_requests_total: Requests to a provider.
histogram stocks_upstream_request_duration_seconds: Provider latency.
gauge stocks_upstream_circuit_open: 1 while a provider does not answer or refuses.
gauge stocks_upstream_rate_limit_wait_seconds: How long a provider has been refusing.
gauge stocks_proxies: Proxies by state.
gauge stocks_ws_upstream_connected: 1 while the connection of the price feed is open.
histogram stocks_db_write_duration_seconds: Latency of the API's own writes.
counter stocks_db_rows_written_total: Rows written.
counter stocks_db_errors_total: Database errors that the API met.
gauge stocks_scans_running: Scans in progress.
counter stocks_scans_total: Scans finished.
histogram stocks_scan_duration_seconds: Total scan time.
histogram stocks_scan_time_to_first_result_seconds: Time to first result.
histogram stocks_scan_stage_duration_seconds: Time in a stage.
counter stocks_scan_symbols_total: Symbols scanned.
counter stocks_scan_early_terminations_total: Scans that ended early.
histogram stocks_scan_eta_error_ratio: abs(predicted-actual)/actual at half way.
counter stocks_scan_priority_symbols_total: Symbols scanned by tier.
counter stocks_scan_priority_reorders_total: Queue reorderings.
counter stocks_scan_cache_requests_total: Scan data cache look-ups, one a symbol.
gauge stocks_scan_symbol_worker_processes: Workers of the scan engine.
gauge stocks_stream_connections: Open streams.
histogram stocks_stream_latency_seconds: Publish to socket write.
counter stocks_stream_messages_total: Messages sent.
counter stocks_stream_messages_dropped_total: Numbered messages that a client was not told.
counter stocks_stream_errors_total: Stream errors.
counter stocks_stream_resumes_total: Resumptions.
counter stocks_http_requests_total: HTTP requests.
histogram stocks_http_request_duration_seconds: HTTP latency.
gauge stocks_http_requests_under_way: Requests that wait for their answer.
counter stocks_auth_failures_total: Failed log-ins.
counter stocks_rate_limited_requests_total: Requests refused with 429.
counter stocks_signals_total: Signals generated.
counter stocks_notifications_total: Notifications sent.
gauge stocks_memory_limit_bytes: Memory limit of the process or its cgroup.
gauge stocks_config_last_reload_successful: 1 if the last reload worked.
counter stocks_log_messages_total: Log records.
gauge process_resident_memory_bytes: Memory of the API's process.
counter process_cpu_seconds_total: Processor time of the API's process.
"""
"""kind, name and help of each family. A name is a promise: an alert rule of somebody's asks for it."""


class Family(NamedTuple):
    kind: str
    help: str


def _family(line: str) -> tuple[str, Family]:
    head, said = line.split(": ", 1)
    kind, name = head.split()
    return name, Family(kind, said)


FAMILIES: Mapping[str, Family] = dict(map(_family, CATALOGUE.strip().splitlines()))


@dataclass(slots=True)
class Histogram:
    """`buckets`: values by the first of `bounds` that they fit under, the larger ones last."""

    bounds: Sequence[float]
    total: float = 0.0
    buckets: list[int] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.buckets = self.buckets or [0] * (len(self.bounds) + 1)
        self.total += value
        self.buckets[bisect_left(self.bounds, value)] += 1


class Sheet:
    """The samples of one look."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {name: [] for name in FAMILIES}

    def put(self, name: str, value: float | None, **labels: str) -> None:
        """Write a sample; None, what is not known, is left out."""
        if value is not None:
            self._lines[name].append(_line(name, value, labels))

    def histogram(self, name: str, found: Histogram, **labels: str) -> None:
        """Write what was counted, if anything was."""
        if not found.buckets:
            return
        lines, count = self._lines[name], 0
        bounds = (*map(_number, found.bounds), "+Inf")
        for bound, fitting in zip(bounds, found.buckets, strict=True):
            count += fitting
            lines.append(_line(f"{name}_bucket", count, {**labels, "le": bound}))
        lines += (_line(f"{name}_sum", found.total, labels), _line(f"{name}_count", count, labels))

    def text(self) -> bytes:
        """Return every family; one without a sample still has its head."""
        parts = []
        for name, family in FAMILIES.items():
            parts += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}", *self._lines[name]]
        return ("\n".join(parts) + "\n").encode()


def _line(name: str, value: float, labels: Mapping[str, str]) -> str:
    within = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{within}}} {_number(value)}" if within else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
