"""The scanners: state, start, stop, restart, runs, restarts, settings. Without an orchestrator most say 503."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from sqlalchemy import Engine, func, select
from starlette.responses import Response

from api.answers import answer
from api.auth.audit import audit
from api.columns import page_answer
from api.config_file import ConfigFile, Value, changeable
from api.context import Context, context_of
from api.etags import tagged
from api.problems import Problem
from api.route import Route
from api.schemas import EVENT_PAGE, RUN_PAGE, Asked, Document, Line, PageQuery, Rows
from api.sql import Listing, read_page
from core.settings import Settings
from storage.schema import scanner_event, scanner_run

Name = Literal["prices", "metrics", "daily", "proxies", "recorder", "screener", "api", "backup"]
SCANNERS = ("prices", "metrics", "daily")
Action = Literal["start", "stop", "restart"]
DAILY_TARGET_S = 3 * 3600.0
DAY = timedelta(days=1)


def targets_s(settings: Settings) -> dict[str, float]:
    """Return how long a pass of each scanner may take."""
    return {"prices": settings.prices.cycle_s, "metrics": settings.metrics.interval_s, "daily": DAILY_TARGET_S}


async def list_(request: Request) -> Response:
    """List the scanners and the other processes: state, last pass against its target, restarts of 24 hours."""
    return answer(await _status(context_of(request)))


async def _status(context: Context) -> dict[str, Any]:
    told = await context.control.status()
    now = context.clock.utc_now()
    passes, restarts = await context.database.read(lambda engine: (_last_runs(engine), _restarts(engine, now - DAY)))
    targets = targets_s(context.settings)
    data = [
        process
        | {
            "target_s": targets.get(process["name"]),
            "last_run": passes.get(process["name"]),
            "restarts_24h": restarts.get(process["name"], 0),
        }
        for process in told["processes"]
    ]
    return {"at": now, "state": told["state"], "market": told["market"], "alerts": told["alerts"], "data": data}


def _last_runs(engine: Engine) -> dict[str, dict[str, Any]]:
    newest = select(func.max(scanner_run.c.id)).where(scanner_run.c.finished_at.is_not(None))
    wanted = select(scanner_run).where(scanner_run.c.id.in_(newest.group_by(scanner_run.c.scanner)))
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(wanted).mappings()]
    return {row["scanner"]: _run(row) for row in rows}


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    took_s = (row["finished_at"] - row["started_at"]).total_seconds()
    share = row["updated"] / row["expected"] if row["updated"] is not None and row["expected"] else None
    return {**row, "took_s": took_s, "success": share}


RESTARTED = ("crash", "exit", "oom", "signal", "stall", "no_beat", "memory")
"""Causes of an end that nobody wanted (docs/events.md)."""


def _restarts(engine: Engine, since: datetime) -> dict[str, int]:
    event = scanner_event.c
    # The end before it and the "ready" after it carry the same cause, and so does a refresh that is done.
    unwanted = (event.at >= since, event.event == "scanner_restarted", event.cause.in_(RESTARTED))
    counted = select(event.process, func.count()).where(*unwanted).group_by(event.process)
    with engine.connect() as connection:
        return {str(process): int(count) for process, count in connection.execute(counted)}


async def show(request: Request, name: Annotated[Name, Path()]) -> Response:
    """Show one process."""
    status = await _status(context_of(request))
    found = next((process for process in status["data"] if process["name"] == name), None)
    if found is None:
        raise Problem(404, "not_in_use", f"{name} is not in use; see [{name}] enabled")
    return answer(found)


class ScannerQuery(Asked):
    scanner: Literal["prices", "metrics", "daily", ""] = Field(default="", description="Empty: all three.")


async def scanner_status(request: Request, query: Annotated[ScannerQuery, Query()]) -> Response:
    """Tell the state and the figures of the scanners."""
    status = await _status(context_of(request))
    wanted = [query.scanner] if query.scanner else SCANNERS
    data = [process for process in status["data"] if process["name"] in wanted]
    running = any(process["state"] == "running" for process in data)
    return answer({**status, "data": data, "status": "running" if running else "stopped", "isRunning": running})


NOT_APPLIED = {
    "symbols": "the scanners keep the whole universe fresh; `tickerd universe import` changes it",
    "config": "settings are changed by PUT /api/v1/scanner/config",
}


class OrderBody(Asked):
    """`symbols` and `config` of older clients are taken and change nothing: the answer says what would."""

    scanner: Literal["prices", "metrics", "daily", ""] = ""
    symbols: list[Line] = Field(default=[], max_length=10_000)
    config: dict[str, Any] = Field(default={}, max_length=50)


def _ordered(action: Action) -> Callable[..., Awaitable[Response]]:
    async def order(
        request: Request, query: Annotated[ScannerQuery, Query()], body: OrderBody | None = None
    ) -> Response:
        given = {name for name in (query.scanner, body.scanner if body else "") if name}
        if len(given) > 1:
            raise Problem(422, "contradiction", "body and query name two scanners")
        enabled = [name for name in SCANNERS if getattr(context_of(request).settings, name).enabled]
        done = [await _order(request, action, name) for name in given or enabled]
        ignored = {name: why for name, why in NOT_APPLIED.items() if body and getattr(body, name)}
        return answer({"success": True, "data": done, "not_applied": ignored})

    order.__doc__ = f"{action.capitalize()} one scanner, or all."
    return order


def _ordered_one(action: Action) -> Callable[..., Awaitable[Response]]:
    async def order(request: Request, name: Annotated[Name, Path()]) -> Response:
        return answer(await _order(request, action, name))

    order.__doc__ = f"{action.capitalize()} one process."
    return order


async def _order(request: Request, action: Action, name: str) -> dict[str, Any]:
    told = await context_of(request).control.ask(action, name)
    await audit(request, f"process_{action}", {"process": name})
    return {key: told[key] for key in ("name", "state", "reason")}


async def runs(request: Request, name: Annotated[Name, Path()], query: Annotated[PageQuery, Query()]) -> Response:
    """List the passes of a scanner, the newest first."""
    run = scanner_run.c
    listing = Listing(columns=list(run), key=(run.id,), falling=True, where=[run.scanner == name])
    return await _page(request, listing, query)


async def restarts(request: Request, name: Annotated[Name, Path()], query: Annotated[PageQuery, Query()]) -> Response:
    """List what became of a process, the newest first: starts, ends and their causes."""
    event = scanner_event.c
    listing = Listing(columns=list(event), key=(event.id,), falling=True, where=[event.process == name])
    return await _page(request, listing, query)


async def events(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """List what became of all processes, the newest first."""
    event = scanner_event.c
    return await _page(request, Listing(columns=list(event), key=(event.id,), falling=True), query)


async def _page(request: Request, listing: Listing, query: PageQuery) -> Response:
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


async def config(request: Request, query: Annotated[ScannerQuery, Query()]) -> Response:
    """Tell the settings of the scanners that may be changed here."""
    file = ConfigFile.find()
    values = changeable(file.settings())
    wanted = {key: value for key, value in values.items() if key.startswith(query.scanner)}
    return tagged(request, answer({"file": str(file.path), "values": wanted}))


class ConfigBody(Asked):
    """Like {"values": {"metrics.concurrency": 4}}."""

    values: dict[Line, Value] = Field(min_length=1, max_length=50)


async def change_config(request: Request, body: ConfigBody) -> Response:
    """Change settings of the scanners in config.toml and have them applied at once: all of them, or none."""
    control, file = context_of(request).control, ConfigFile.find()
    await control.status()  # without an orchestrator nothing is changed that nobody would apply
    before = file.change(body.values)
    try:
        told = await control.ask("reload")
    except Exception:
        file.restore(before)
        raise
    await audit(request, "settings_changed", {"keys": sorted(body.values)})
    return answer({key: told[key] for key in ("applied", "later", "advice", "restarted")})


def _route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, tag="scanners", **{"scope": "read", **more})


ONE = "/api/v1/scanners/{name}"
ROUTES = (
    _route("GET", "/api/v1/scanners", list_, model=Document),
    _route("GET", "/api/v1/scanner/status", scanner_status, model=Document),
    _route("GET", "/api/v1/scanner/config", config, scope="control", model=Document, problems=(409,)),
    _route("PUT", "/api/v1/scanner/config", change_config, scope="admin", model=Document, problems=(409,)),
    *(
        _route("POST", f"/api/v1/scanner/{action}", _ordered(action), scope="control", model=Rows, problems=(409,))
        for action in ("start", "stop", "restart")
    ),
    _route("GET", ONE, show, model=Document, problems=(404,)),
    *(
        _route("POST", f"{ONE}/{action}", _ordered_one(action), scope="control", model=Document, problems=(409,))
        for action in ("start", "stop", "restart")
    ),
    _route("GET", f"{ONE}/runs", runs, model=RUN_PAGE),
    _route("GET", f"{ONE}/restarts", restarts, model=EVENT_PAGE),
    _route("GET", "/api/v1/events", events, model=EVENT_PAGE),
)
