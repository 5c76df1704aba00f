"""Whether this process, its database and the orchestrator are there. Starts and mends nothing."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlalchemy import text
from starlette.responses import Response

from api.answers import answer
from api.context import Context, context_of
from api.principals import principal_of
from api.problems import Problem
from api.route import Route
from api.schemas import Alive, Health
from core.errors import TickerdError


async def live(_request: Request) -> Response:
    """Say that this process answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """Say whether quotes can be had: 503 until the table is read, and while the database is away."""
    context = context_of(request)
    await _ask_database(context)
    if not context.book.filled.is_set():
        raise Problem(503, "not_ready", "the table is still being read", headers={"Retry-After": "1"})
    return answer({"status": "ok"})


async def health(request: Request) -> Response:
    """Tell how the API, the database and the orchestrator are; 200 as long as the API answers."""
    context = context_of(request)
    may_see = "read" in principal_of(request).scopes
    database = await _part(_ask_database(context), may_see)
    orchestrator = await _part(context.control.status(), may_see)
    well = database["ok"] and orchestrator["ok"]
    return answer(
        {
            "status": "healthy" if well else "degraded",
            "at": context.clock.utc_now(),
            "tickers": len(context.book.tickers),
            "database": database,
            "orchestrator": orchestrator | {"state": orchestrator.pop("answer", {}).get("state")},
        }
    )


async def _ask_database(context: Context) -> None:
    def ask(engine: Any) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    await context.database.read(ask)


async def _part(asking: Any, may_see: bool) -> dict[str, Any]:
    """Whether it answers, and why not, which names files and addresses, to those who may read."""
    try:
        found = await asking
    except (TickerdError, Problem) as error:
        return {"ok": False, "reason": str(error) if may_see else None}
    return {"ok": True, "reason": None} | ({"answer": found} if found else {})


ROUTES = (
    Route(method="GET", path="/livez", handler=live, scope="public", tag="health", model=Alive),
    Route(method="GET", path="/readyz", handler=ready, scope="public", tag="health", model=Alive),
    Route(
        method="GET",
        path="/api/v1/health",
        aliases=("/health", "/api/health"),
        handler=health,
        scope="public",
        tag="health",
        model=Health,
    ),
)
