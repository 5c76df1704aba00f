"""Puts the application together: context, routes, layers around them. Answers nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from api.access import Access
from api.auth.access import AccessTokens
from api.auth.accounts import Accounts
from api.auth.guard import Guard
from api.auth.secret import signing_secret
from api.auth.start import make_first_admin
from api.auth.tickets import Tickets
from api.book import Book
from api.context import Context
from api.control import Control
from api.handlers.market import cells_now, coverage_now
from api.hosts import Hosts
from api.idempotency import Idempotency
from api.kept import Kept
from api.metrics_look import Look
from api.problems import Problem, answer_error, problem_response
from api.route import mount
from api.routes import ROUTES
from api.security import middleware
from api.sql import Database
from api.streams.doors import Doors
from api.streams.hub import Hub
from api.streams.sources import QuoteRows, Sources
from api.traffic import Traffic
from api.under_way import UnderWay
from core import tasks
from core.clock import Clock
from core.errors import TickerdError
from core.files import make_folder, read_text
from core.logs import get_logger
from core.settings import Settings
from market.sessions import build_calendar

WHOLE_TABLE_S = 3.0
"""So long what counts the whole table is good for everybody who asks: it costs a tenth of a second."""
WRONG_FIELDS = 20
"""Of one request that are named; a body of thousands of mistakes gets a short answer."""

log = get_logger(__name__)


def build_context(settings: Settings, clock: Clock) -> Context:
    """Open the database and make what the handlers need; FixByHand or RetryLater if that cannot be."""
    state_dir = make_folder(Path(settings.state.dir))
    tokens = AccessTokens(signing_secret(settings.api.secret, state_dir))
    database = Database(settings.database.url, clock)
    accounts, tickets = Accounts(database, tokens, clock), Tickets()
    hosts = Hosts(settings.api.allowed_hosts, settings.api.cors_origins)
    book, control, hub = Book(database, clock), Control(state_dir, clock), Hub()
    calendar, traffic = build_calendar(settings.market, read=read_text), Traffic()
    doors = Doors(accounts, settings, clock)
    under_way = UnderWay(database, state_dir, clock, enabled=settings.screener.enabled)
    return Context(
        settings=settings,
        clock=clock,
        calendar=calendar,
        database=database,
        book=book,
        control=control,
        traffic=traffic,
        under_way=under_way,
        coverage=Kept(partial(coverage_now, database, clock), age_s=WHOLE_TABLE_S, clock=clock),
        cells=Kept(partial(cells_now, database, clock), age_s=WHOLE_TABLE_S, clock=clock),
        accounts=accounts,
        tickets=tickets,
        hosts=hosts,
        guard=Guard(accounts, tickets, hosts, clock, needed=settings.api.auth),
        hub=hub,
        rows=QuoteRows(book),
        sources=Sources(hub, book, database, control, under_way.bell, clock),
        doors=doors,
        look=Look(
            settings,
            clock,
            calendar=calendar,
            control=control,
            database=database,
            traffic=traffic,
            doors=doors,
        ),
    )


def build_app(context: Context) -> FastAPI:
    """Return the application; `running` goes around it while it serves."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            Problem: answer_error,
            TickerdError: answer_error,
            HTTPException: answer_error,
            RequestValidationError: _answer_wrong,
        },
        middleware=[
            Middleware(Access, context.traffic, context.clock),
            *middleware(context),
            Middleware(Idempotency, context),
        ],
    )
    app.state.context = context
    for route in ROUTES:
        mount(app, route)
    return app


@asynccontextmanager
async def running(context: Context, lost: Callable[[BaseException], None]) -> AsyncIterator[None]:
    """Follow what there is to follow while the application serves; `lost` is told of a follower that has ended.

    At the end everything that the context holds is closed.
    """
    following: list[asyncio.Task[Any]] = []
    try:
        if context.settings.api.auth:
            await make_first_admin(context.accounts, Path(context.settings.state.dir))
        context.under_way.bell.hang()
        sources, doors = context.sources, context.doors
        works = (context.book.follow, sources.follow_sql, sources.follow_states, doors.watch)
        following += [tasks.spawn(work(), name=work.__qualname__, on_error=lost) for work in works]
        yield
    finally:
        await tasks.cancel_all(following)
        context.under_way.bell.take_down()
        context.accounts.close()
        context.database.close()


async def _answer_wrong(request: Request, error: RequestValidationError) -> Response:
    """Say which fields are wrong and why, not what was in them."""
    wrong = [_wrong(one) for one in error.errors()[:WRONG_FIELDS]]
    first = wrong[0]
    problem = Problem(422, "wrong_request", f"{first['where']}: {first['reason']}", extra={"errors": wrong})
    return problem_response(request.scope, problem)


def _wrong(error: dict[str, Any]) -> dict[str, str]:
    reason = str(error["msg"]).removeprefix("Value error, ")  # the library's words before ours
    return {"where": ".".join(str(part)[:60] for part in error["loc"]), "reason": reason[:200]}
