"""The market's hours, how fresh and how true the table is, the proxies. Counts nothing that a scanner has not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from sqlalchemy import Engine, func, select
from starlette.responses import Response

from api.answers import answer
from api.columns import page_answer
from api.context import context_of
from api.etags import tagged
from api.route import Route
from api.schemas import AUDIT_PAGE, FINDING_PAGE, PROXY_PAGE, Asked, Coverage, HeatMap, Line, MarketNow, PageQuery
from api.sql import Database, Listing, read_page
from core.clock import Clock
from daemon.status import market as market_now
from market.sessions import Calendar, Session
from storage.coverage import GROUPS, read_coverage, read_why
from storage.ledger import read_days
from storage.proxies import count_proxies
from storage.schema import proxy, stocks_stock, truth_audit, truth_finding

AGE_BOUNDS_S = (60, 120, 300, 600, 1800, 3600, 86_400)
EXPLAINED: tuple[Literal["price", "metrics"], ...] = ("price", "metrics")


async def market(request: Request) -> Response:
    """Tell whether the market is open, and when that changes."""
    context = context_of(request)
    now = context.clock.utc_now()
    state = market_now(context.calendar, now)
    changes_at = state["closes_at" if state["state"] == "open" else "opens_at"]
    to = "closed" if state["state"] == "open" else "open"
    return answer({"at": now, "market": state, "next_change": {"at": changes_at, "to": to} if changes_at else None})


class CoverageQuery(Asked):
    days: int = Field(default=0, ge=0, le=31, description="Also what share of the last so many sessions was fresh.")


async def coverage(request: Request, query: Annotated[CoverageQuery, Query()]) -> Response:
    """Tell how much of each group of fields is fresh, with a histogram of ages."""
    context = context_of(request)
    found = await context.coverage.get()
    if query.days:
        sessions = _newest_sessions(context.calendar, found["at"], query.days)
        days = await context.database.read(lambda engine: read_days(engine, sessions, at=found["at"]))
        return answer(found | {"days": days})
    return tagged(request, answer(found))


async def coverage_now(database: Database, clock: Clock) -> dict[str, Any]:
    """Return counts, ages and reasons of each group, from one look at the whole table."""
    at = clock.utc_now()
    return {"at": at, "groups": await database.read(lambda engine: _groups(engine, at))}


def _groups(engine: Engine, at: datetime) -> dict[str, Any]:
    groups = read_coverage(engine, at=at)
    for explained in EXPLAINED:
        groups[explained]["why"] = read_why(engine, at=at, group=explained)
    for group, counts in _histograms(engine, at).items():
        groups[group]["histogram"] = counts
    return groups


def _histograms(engine: Engine, now: datetime) -> dict[str, dict[str, int]]:
    """Return for each group how many listed tickers are no older than each bound, older than all, or never told."""
    counts = []
    for group in GROUPS:
        column = stocks_stock.c[f"{group}_updated_at"]
        counts += [
            func.count().filter(column >= now - timedelta(seconds=bound)).label(f"{group} {bound}")
            for bound in AGE_BOUNDS_S
        ]
        counts += [func.count(column).label(f"{group} known"), func.count().label(f"{group} total")]
    with engine.connect() as connection:
        row = connection.execute(select(*counts).where(stocks_stock.c.is_listed)).mappings().one()
    return {group: _histogram(group, row) for group in GROUPS}


def _histogram(group: str, row: Any) -> dict[str, int]:
    """Each bucket without those before it: their sum is all tickers."""
    found, before = {}, 0
    for bound in AGE_BOUNDS_S:
        found[f"within_{bound}_s"] = row[f"{group} {bound}"] - before
        before = row[f"{group} {bound}"]
    known, total = row[f"{group} known"], row[f"{group} total"]
    return found | {"older": known - before, "never": total - known}


def _newest_sessions(calendar: Calendar, at: datetime, days: int) -> list[Session]:
    """Return the newest sessions that have begun at `at`, the oldest first."""
    found: list[Session] = []
    session = calendar.session_at(at) or calendar.last_session(at)
    while session and len(found) < days:
        found.insert(0, session)
        session = calendar.last_session(session.opens_at)
    return found


async def cells(request: Request) -> Response:
    """Give each listed ticker's sector, change and ages, one array a column, for a map of the market."""
    return tagged(request, answer(await context_of(request).cells.get()))


async def cells_now(database: Database, clock: Clock) -> dict[str, Any]:
    """Return the cells of the map as they are at `at`."""
    at = clock.utc_now()
    return {"at": at, "columns": await database.read(lambda engine: _cells(engine, at))}


def _cells(engine: Engine, now: datetime) -> dict[str, list[Any]]:
    table = stocks_stock.c
    times = [table[f"{group}_updated_at"] for group in GROUPS]
    wanted = select(table.ticker, table.sector, table.price_change_percent, *times).where(table.is_listed)
    with engine.connect() as connection:
        rows = connection.execute(wanted.order_by(table.ticker)).all()
    names = ("ticker", "sector", "price_change_percent", *(f"{group}_age_s" for group in GROUPS))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    ages = [[time and int((now - time).total_seconds()) for time in column] for column in columns[3:]]
    return dict(zip(names, [*columns[:3], *ages], strict=True))


async def audits(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """List the truth audits, the newest session first: how many tickers were exact after its close."""
    listing = Listing(columns=list(truth_audit.c), key=(truth_audit.c.session,), falling=True, where=[])
    return await _page(request, listing, query)


async def findings(
    request: Request, session: Annotated[date, Path()], query: Annotated[PageQuery, Query()]
) -> Response:
    """List what the audit of a session found: each number that differs, each ticker that could not be compared."""
    found = truth_finding.c
    where = [found.session == session, found.verdict != "exact"]
    return await _page(request, Listing(columns=list(found), key=(found.ticker, found.field), where=where), query)


async def _page(request: Request, listing: Listing, query: PageQuery) -> Response:
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


class ProxyQuery(PageQuery):
    state: Line = Field(default="", max_length=20, description="Only of this state: gold, live, cooling, evicted ...")


SHOWN_OF_A_PROXY = tuple(column for column in proxy.columns if column.name not in ("cookie", "crumb", "minted_at"))


async def proxies(request: Request, query: Annotated[ProxyQuery, Query()]) -> Response:
    """List the proxies by state and use, with how many of each state there are."""
    where = [proxy.c.state == query.state] if query.state else []
    listing = Listing(columns=SHOWN_OF_A_PROXY, key=(proxy.c.address, proxy.c.protocol), where=where)

    def read(engine: Engine) -> Any:
        page = read_page(engine, listing, limit=query.limit, cursor=query.cursor)
        return page, {"counts": dict(count_proxies(engine))}

    page, counts = await context_of(request).database.read(read)
    return tagged(request, page_answer(page, query.format, counts))


ROUTES = (
    Route(method="GET", path="/api/v1/market", handler=market, scope="read", tag="market", model=MarketNow),
    Route(method="GET", path="/api/v1/coverage", handler=coverage, scope="read", tag="market", model=Coverage),
    Route(method="GET", path="/api/v1/coverage/cells", handler=cells, scope="read", tag="market", model=HeatMap),
    Route(method="GET", path="/api/v1/truth", handler=audits, scope="read", tag="market", model=AUDIT_PAGE),
    Route(
        method="GET",
        path="/api/v1/truth/{session}",
        handler=findings,
        scope="read",
        tag="market",
        model=FINDING_PAGE,
    ),
    Route(method="GET", path="/api/v1/proxies", handler=proxies, scope="read", tag="market", model=PROXY_PAGE),
)
