"""What this process tells the metrics of itself: requests, streams, writes, memory. Asks nobody else."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import psutil

from api.metrics import Histogram, Sheet
from api.sql import Database
from api.streams.doors import Doors, Stream
from api.streams.listener import EVENTS, SIGNALS
from api.traffic import BOUNDS_S, Durations, Traffic

NEWEST_COUNTS, NUMBERED = ("quotes", "scanners"), ("scan", SIGNALS, EVENTS)
CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def put_traffic(sheet: Sheet, traffic: Traffic) -> None:
    for (method, route, status), count in traffic.requests.items():
        sheet.put("stocks_http_requests_total", count, method=method, route=route, code=str(status))
    for (method, route), times in traffic.durations.items():
        sheet.histogram("stocks_http_request_duration_seconds", _histogram(times), method=method, route=route)
    sheet.put("stocks_http_requests_under_way", traffic.under_way)
    for scope, count in {"address": 0, "user": 0, **traffic.limited}.items():
        sheet.put("stocks_rate_limited_requests_total", count, scope=scope)


def put_streams(sheet: Sheet, doors: Doors) -> None:
    counts = doors.counts
    is_open: Counter[tuple[str, str]] = Counter({(transport, "any"): 0 for transport in counts.latency})
    is_open.update((stream.transport, channel) for stream in doors.open for channel in channels(stream))
    for (of, channel), count in is_open.items():
        sheet.put("stocks_stream_connections", count, transport=of, channel=channel)
    for transport, times in counts.latency.items():
        sheet.histogram("stocks_stream_latency_seconds", _histogram(times), transport=transport)
    for channel, count in {**dict.fromkeys((*NEWEST_COUNTS, *NUMBERED), 0), **counts.messages}.items():
        sheet.put("stocks_stream_messages_total", count, channel=channel)
    for channel in NUMBERED:  # a slow client is ended with its place, and told the rest when it is back
        sheet.put("stocks_stream_messages_dropped_total", 0, channel=channel, reason="slow")
    unseen = {(transport, reason): 0 for transport in counts.latency for reason in ("slow", "failed")}
    for (of, reason), count in {**unseen, **counts.errors}.items():
        sheet.put("stocks_stream_errors_total", count, transport=of, reason=reason)
    for result, count in {"ok": 0, "reset": 0, **counts.resumes}.items():
        sheet.put("stocks_stream_resumes_total", count, result=result)


def channels(stream: Stream) -> list[str]:
    """Return what a stream listens to; "any" before it has said."""
    wants = stream.listener.wants
    listened = {
        "quotes": wants.quotes_since is not None,
        "scanners": wants.states_since is not None,
        "scan": bool(wants.scans),
    }
    return [*(name for name, is_wanted in listened.items() if is_wanted), *wants.since] or ["any"]


def put_process(sheet: Sheet, database: Database) -> None:
    sheet.histogram("stocks_db_write_duration_seconds", _histogram(database.writes), table="any")
    for kind, count in {"RetryLater": 0, **database.errors}.items():
        sheet.put("stocks_db_errors_total", count, kind=kind)
    own = psutil.Process()
    with own.oneshot():
        used = own.cpu_times()
        sheet.put("process_resident_memory_bytes", own.memory_info().rss)
    sheet.put("process_cpu_seconds_total", used.user + used.system)
    sheet.put("stocks_memory_limit_bytes", memory_limit_bytes())


def memory_limit_bytes() -> int:
    """Return the smallest limit of the control groups around this process, or the machine's memory."""
    machine = int(psutil.virtual_memory().total)
    if sys.platform != "linux" or not CGROUP.exists():
        return machine
    within = next((line[3:] for line in CGROUP.read_text().splitlines() if line.startswith("0::")), "/")
    here = CGROUPS / within.lstrip("/")
    files = [folder / "memory.max" for folder in (here, *here.parents) if folder.is_relative_to(CGROUPS)]
    limits = [file.read_text().strip() for file in files if file.exists()]
    return min([machine, *(int(limit) for limit in limits if limit.isdigit())])


def _histogram(times: Durations) -> Histogram:
    """A route that nobody has asked has no times; a transport that nobody uses has a whole row of zeros."""
    return Histogram(BOUNDS_S, times.total_s, times.buckets)
