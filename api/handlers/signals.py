"""Signals of saved scans: list, show, say what became of one. Finds none."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from sqlalchemy import Engine, select
from starlette.responses import Response

from api.answers import answer
from api.auth.audit import audit
from api.columns import page_answer
from api.context import context_of
from api.etags import tagged
from api.problems import Problem
from api.route import Route
from api.schemas import SIGNAL, SIGNAL_PAGE, Asked, Line, PageQuery, RowId, TickerText
from api.sql import Listing, read_page
from storage.schema import signals
from storage.signals import change_status

Status = Literal["active", "triggered", "closed", "dismissed", "left"]
TABLE = signals.c


class SignalQuery(PageQuery):
    scan: Line = Field(default="", max_length=100, description="Only of this saved scan.")
    symbol: TickerText | None = None
    pattern: Line = Field(default="", max_length=100)
    direction: Line = Field(default="", max_length=10, description="BUY or SELL.")
    status: Status | None = None


async def list_(request: Request, query: Annotated[SignalQuery, Query()]) -> Response:
    """List signals, the newest first."""
    given = {TABLE.scan: query.scan, TABLE.pattern: query.pattern, TABLE.direction: query.direction.upper()}
    where = [column == value for column, value in given.items() if value]
    where += [TABLE.symbol == query.symbol] if query.symbol else []
    where += [TABLE.status == query.status] if query.status else []
    listing = Listing(columns=list(TABLE), key=(TABLE.created_at, TABLE.id), falling=True, where=where)
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


async def show(request: Request, signal_id: Annotated[RowId, Path()]) -> Response:
    """Show one signal."""
    return tagged(request, await _answer(request, signal_id))


class StatusBody(Asked):
    status: Status


async def change(request: Request, signal_id: Annotated[RowId, Path()], body: StatusBody) -> Response:
    """Say what became of a signal."""
    context = context_of(request)
    at = context.clock.utc_now()
    known = await context.database.write(lambda writer: change_status(writer, signal_id, body.status, at=at))
    if not known:
        raise Problem(404, "unknown_signal", "no such signal")
    await audit(request, "signal_changed", {"signal_id": signal_id, "status": body.status})
    return await _answer(request, signal_id)


async def _answer(request: Request, signal_id: int) -> Response:
    def read(engine: Engine) -> dict[str, object] | None:
        with engine.connect() as connection:
            found = connection.execute(select(signals).where(TABLE.id == signal_id)).mappings().first()
        return dict(found) if found else None

    row = await context_of(request).database.read(read)
    if row is None:
        raise Problem(404, "unknown_signal", "no such signal")
    return answer(row)


BASE = "/api/v1/signals"
ROUTES = (
    Route(method="GET", path=BASE, handler=list_, scope="read", tag="signals", model=SIGNAL_PAGE),
    Route(
        method="GET",
        path=f"{BASE}/{{signal_id}}",
        handler=show,
        scope="read",
        tag="signals",
        model=SIGNAL,
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path=f"{BASE}/{{signal_id}}/status",
        handler=change,
        scope="scan",
        tag="signals",
        model=SIGNAL,
        problems=(404,),
    ),
)
