"""How the machine and the processes do: performance, errors of scans, logs, alerts, settings. Changes no setting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import psutil
from fastapi import Query, Request
from pydantic import Field
from sqlalchemy import Engine, func, select
from starlette.responses import Response

from api import log_files
from api.answers import answer
from api.auth.audit import audit
from api.context import Context, context_of
from api.etags import tagged
from api.problems import Problem
from api.route import Route
from api.schemas import Asked, Document, Done, Line, Rows
from api.traffic import BOUNDS_S, Traffic
from core.config import ALIASES, HIDDEN, shown
from core.errors import TickerdError
from core.settings import Settings
from daemon.reload import NOT_SHOWN
from storage import scans as stored
from storage.schema import scans


async def performance(request: Request) -> Response:
    """Tell what the machine gives: cores, load, memory; what each process takes; how fast scans and answers are."""
    context = context_of(request)
    machine = await asyncio.to_thread(_machine, context.settings)
    recent = await context.database.read(lambda engine: _recent_scans(engine, context))
    return answer(
        {
            "at": context.clock.utc_now(),
            "machine": machine,
            "processes": await _processes(context),
            "scans": recent,
            "api": _answers(context.traffic),
        }
    )


def _machine(settings: Settings) -> dict[str, Any]:
    memory, cores = psutil.virtual_memory(), os.cpu_count() or 1
    load = os.getloadavg() if hasattr(os, "getloadavg") else psutil.getloadavg()
    workers = min(settings.screener.max_workers, cores)
    return {
        "cpu_cores": cores,
        "cpu_percent": psutil.cpu_percent(interval=None),
        "load": list(load),
        "memory_total_mb": round(memory.total / 1e6),
        "memory_available_mb": round(memory.available / 1e6),
        "scan_workers": workers,
        "workers_a_core": workers / cores,
    }


async def _processes(context: Context) -> list[dict[str, Any]] | None:
    """None where no orchestrator can be asked."""
    try:
        told = await context.control.status()
    except (TickerdError, Problem):
        return None
    keys = ("name", "state", "pid", "rss_mb", "cpu_percent", "open_files", "restarts")
    return [{key: process[key] for key in keys} for process in told["processes"]]


def _recent_scans(engine: Engine, context: Context) -> dict[str, Any]:
    """Return the scans of the last day: how many of each end, how long each stage takes, tickers a second."""
    since = context.clock.utc_now() - timedelta(days=1)
    of_a_day = scans.c.created_at >= since
    with engine.connect() as connection:
        by_status = connection.execute(select(scans.c.status, func.count()).where(of_a_day).group_by(scans.c.status))
        ended = {str(status): int(count) for status, count in by_status}
        timed = select(scans.c.timings).where(of_a_day, scans.c.timings.is_not(None))
        timings = connection.execute(timed.order_by(scans.c.created_at.desc()).limit(100)).scalars().all()
    return {"of_24h": ended, "stages": _mean_stages(timings), "measured": len(timings)}


def _mean_stages(timings: Any) -> dict[str, dict[str, float]]:
    """Return the mean of each stage over the newest hundred scans; the slowest stage is where the time goes."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for each in timings:
        for stage, timing in each.items():
            found.setdefault(stage, []).append(timing)
    return {
        stage: {key: sum(one[key] for one in ones) / len(ones) for key in ("elapsed_s", "per_s")}
        for stage, ones in found.items()
    }


def _answers(traffic: Traffic) -> dict[str, Any]:
    routes = [
        {
            "method": method,
            "route": route,
            "requests": times.count,
            "mean_s": times.total_s / times.count,
            "p95_within_s": _within_s(times.buckets, 0.95),
        }
        for (method, route), times in traffic.durations.items()
    ]
    by_status: dict[str, int] = {}
    for (_, _, status), count in traffic.requests.items():
        by_status[str(status)] = by_status.get(str(status), 0) + count
    return {"under_way": traffic.under_way, "by_status": by_status, "routes": routes}


def _within_s(buckets: list[int], share: float) -> float | None:
    """Return the bound that this share of the requests stays under; None beyond the last bound."""
    wanted, seen = share * sum(buckets), 0
    for bound_s, count in zip(BOUNDS_S, buckets, strict=False):
        seen += count
        if seen >= wanted:
            return bound_s
    return None


class ErrorQuery(Asked):
    days: int = Field(default=7, ge=1, le=366, description="Of the last so many days.")


async def errors(request: Request, query: Annotated[ErrorQuery, Query()]) -> Response:
    """Count what went wrong in scans, by stage and words, and the warnings of each process's log."""
    context = context_of(request)
    since = context.clock.utc_now() - timedelta(days=query.days)
    found = await context.database.read(lambda engine: stored.read_errors(engine, since=since))
    folder = Path(context.settings.logging.dir)
    logged = await asyncio.to_thread(lambda: list(log_files.counts(folder)))
    logs = [{"process": name, "warnings": warnings, "errors": faults} for name, warnings, faults in logged]
    return answer({"since": since, "total": sum(row["times"] for row in found), "data": found, "logs": logs})


async def clear_errors(request: Request) -> Response:
    """Forget what went wrong in scans."""
    cleared = await context_of(request).database.write(stored.clear_errors)
    await audit(request, "errors_cleared", {"cleared": cleared})
    return answer({"done": cleared > 0, "cleared": cleared, "success": True})


class LogQuery(Asked):
    process: Line = Field(default="tickerd", max_length=40, description="Whose log; without one the orchestrator's.")
    level: Literal["debug", "info", "warning", "error"] = "info"
    search: Line = Field(default="", max_length=100, description="Only lines that hold this.")
    limit: int = Field(default=200, ge=1, le=1000)


async def logs(request: Request, query: Annotated[LogQuery, Query()]) -> Response:
    """Give the newest lines of a process's log, the newest last."""
    folder = Path(context_of(request).settings.logging.dir)
    processes = await asyncio.to_thread(log_files.known, folder)
    if query.process not in processes:  # the name is one of the listed, never a path
        raise Problem(404, "unknown_log", "no process of this name has a log", extra={"known": processes})
    file = folder / f"{query.process}.jsonl"
    wanted = {"limit": query.limit, "level": query.level, "search": query.search}
    found = await asyncio.to_thread(lambda: log_files.newest(file, **wanted))  # type: ignore[arg-type]
    return tagged(request, answer({"process": query.process, "processes": processes, "data": found}))


async def alerts(request: Request) -> Response:
    """List what a person should look at now."""
    return answer({"data": (await context_of(request).control.status())["alerts"]})


async def config(request: Request) -> Response:
    """Show every setting; passwords and secrets are hidden."""
    sections = msgspec.structs.asdict(context_of(request).settings)
    keys = {
        (key := f"{section}.{name}"): HIDDEN if value and key in NOT_SHOWN else shown(key, value)
        for section, table in sections.items()
        for name, value in msgspec.structs.asdict(table).items()
    }
    return tagged(request, answer({"keys": keys, "aliases": ALIASES}))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/system/performance",
        aliases=("/api/scan/performance",),
        handler=performance,
        scope="read",
        tag="system",
        model=Document,
    ),
    Route(
        method="GET",
        path="/api/v1/system/errors",
        aliases=("/api/scan/stats/errors",),
        handler=errors,
        scope="read",
        tag="system",
        model=Rows,
    ),
    Route(
        method="DELETE",
        path="/api/v1/system/errors",
        aliases=("/api/scan/stats/errors",),
        handler=clear_errors,
        scope="control",
        tag="system",
        model=Done,
    ),
    Route(
        method="GET",
        path="/api/v1/logs",
        handler=logs,
        scope="control",
        tag="system",
        model=Rows,
        problems=(404,),
    ),
    Route(method="GET", path="/api/v1/alerts", handler=alerts, scope="read", tag="system", model=Rows),
    Route(method="GET", path="/api/v1/config", handler=config, scope="control", tag="system", model=Document),
)
