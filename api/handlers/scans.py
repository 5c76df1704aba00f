"""Scans: start, list, progress, results, statistics, stop. The older paths are views of the same. Scans nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.answers import answer
from api.auth.audit import audit
from api.columns import page_answer
from api.context import context_of
from api.etags import tagged
from api.principals import principal_of
from api.progress import progress_of, result_of, statistics_of
from api.route import Route
from api.scans import FlagQuery, ScanBody, engine_request, flag
from api.schemas import (
    PAGE_ROWS,
    SCAN,
    SCAN_PAGE,
    Columnar,
    Document,
    Done,
    Line,
    PageQuery,
    Progress,
    ScanId,
    ScanResults,
    ScanStarted,
)
from api.sql import Listing, Page, read_page
from screener.export import columns_of, flattened
from storage.schema import LARGEST_WHOLE, scan_results
from storage.schema import scans as stored

CANONICAL = "/api/v1/scans"
WAIT_S = 60.0
"""The longest that an answer waits for its scan; after that it tells where to look."""
MOST_RESULTS = 50_000
"""Of one answer of the older paths, which know no pages."""
FOUND = scan_results.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What an older path of the start does otherwise. `words`: its message; `waits`: its answer is the results."""

    status: str
    words: str
    lc_family: bool = False
    waits: bool = False


FORMS: Mapping[str, Form] = {
    CANONICAL: Form(status="pending", words="Scan asked for"),
    "/api/scan/execute": Form(status="running", words="Scan started", lc_family=True),
    "/scan/start": Form(status="pending", words="Scan started with multi-stage progress tracking"),
    "/scan": Form(status="pending", words="Scan done", waits=True),
}


async def start(request: Request, body: ScanBody, query: Annotated[FlagQuery, Query()]) -> Response:
    """Start a scan; `async_mode=false` waits for its end and answers with its results."""
    context, form = context_of(request), FORMS[request.scope["path"]]
    wanted = engine_request(body, query, lc_family=form.lc_family)
    waits = not flag("async_mode", body, query, default=not form.waits)
    scan_id = await context.under_way.ask(wanted, by=principal_of(request).name)
    await audit(request, "scan_started", {"scan_id": scan_id})
    features = {
        "prioritization": wanted.prioritization and context.settings.screener.prioritization,
        "streaming": wanted.streaming and context.settings.screener.streaming,
        "early_termination": wanted.criteria.any and context.settings.screener.early_termination,
    }
    started = _started(request, body, scan_id, form) | {"features": features}
    if waits:
        return await _waited(request, started)
    canonical = request.scope["path"] == CANONICAL
    headers = {"Location": f"{CANONICAL}/{scan_id}"}
    return answer(started, status=202 if canonical else 200, headers=headers)


def _started(request: Request, body: ScanBody, scan_id: str, form: Form) -> dict[str, Any]:
    urls = {name: f"{CANONICAL}/{scan_id}/{name}" for name in ("progress", "results", "stats", "cancel")} | {
        "self": f"{CANONICAL}/{scan_id}",
        "stream": f"/api/v1/stream?channels=scan&scan_id={scan_id}",
    }
    said = {
        "scan_id": scan_id,
        "success": True,
        "status": form.status,
        "message": form.words,
        "progress_url": urls["progress"],
        "results_url": urls["results"],
        "stats_url": urls["stats"],
        "websocket_url": f"/ws/scan/{scan_id}",
        "sse_url": f"/scan/stream/{scan_id}",
        "urls": urls,
    }
    return said | _older_urls(request, body, scan_id)


def _older_urls(request: Request, body: ScanBody, scan_id: str) -> dict[str, Any]:
    """Where `/scan/start` has always pointed: relative for who asks for progress, absolute for who asks for features.

    The host is one that the address check has let pass.
    """
    if request.scope["path"] != "/scan/start":
        return {}
    host, secure = request.headers.get("host", "localhost"), request.url.scheme == "https"
    asks_features = body.termination_criteria or body.enable_prioritization is not None
    if asks_features or body.enable_streaming is not None:
        return {
            "websocket_url": f"{'wss' if secure else 'ws'}://{host}/ws/results/{scan_id}",
            "stats_url": f"{request.url.scheme}://{host}/scan/stats/{scan_id}",
        }
    return {"progress_url": f"/scan/progress/{scan_id}", "websocket_url": f"/scan/ws/{scan_id}"}


async def _waited(request: Request, started: dict[str, Any]) -> Response:
    """Answer with the results, or, of a scan that takes too long, with where they will be."""
    context = context_of(request)
    until = context.clock.utc_now() + timedelta(seconds=WAIT_S)
    row = await context.under_way.ended(started["scan_id"], until=until)
    if row["finished_at"] is None:
        return answer(started | {"status": row["status"], "results": []}, status=202)
    listing = _listing(row["id"], ResultQuery.model_construct(since=0, order="seq"))
    page = await context.database.read(lambda engine: read_page(engine, listing, limit=MOST_RESULTS, cursor=""))
    found = [result_of(each) for each in page.dicts()]
    told = {"status": row["status"], "results": found, "metrics": statistics_of(row), "error": row["error"]}
    return answer(started | told, status=200)


class ScanQuery(PageQuery):
    status: Line = Field(default="", max_length=20, description="pending, running, complete, terminated_early, ...")
    name: Line = Field(default="", max_length=100, description="Only runs of this saved scan.")


LISTED = [column for column in stored.columns if column.name != "progress"]


async def list_(request: Request, query: Annotated[ScanQuery, Query()]) -> Response:
    """List the scans that are kept, the newest first."""
    where = [stored.c.status == query.status] if query.status else []
    where += [stored.c.name == query.name] if query.name else []
    listing = Listing(columns=LISTED, key=(stored.c.created_at, stored.c.id), falling=True, where=where)
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


async def show(request: Request, scan_id: Annotated[ScanId, Path()]) -> Response:
    """Show a scan: what was asked, how it ended."""
    row = await context_of(request).under_way.row(scan_id)
    return tagged(request, answer({key: value for key, value in row.items() if key != "progress"}))


async def progress(request: Request, scan_id: Annotated[ScanId, Path()]) -> Response:
    """Tell how far a scan is, stage by stage."""
    return answer(progress_of(await context_of(request).under_way.row(scan_id)))


class ResultQuery(PageQuery):
    limit: int | None = Field(default=None, ge=1, le=PAGE_ROWS, description="Rows of a page; older paths: all.")  # type: ignore[assignment]
    since: int = Field(default=0, ge=0, le=LARGEST_WHOLE, description="Only results after this number.")
    order: Literal["seq", "rank"] = Field(default="seq", description="As found, or by rank, which is known at the end.")


async def results(
    request: Request, scan_id: Annotated[ScanId, Path()], query: Annotated[ResultQuery, Query()]
) -> Response:
    """List what a scan has found, also while it runs."""
    context = context_of(request)
    row = await context.under_way.row(scan_id)
    older = not request.scope["path"].startswith(CANONICAL)
    limit = query.limit or (MOST_RESULTS if older else PAGE_ROWS)
    listing = _listing(scan_id, query)
    page = await context.database.read(lambda engine: read_page(engine, listing, limit=limit, cursor=query.cursor))
    found = [result_of(each) for each in page.dicts()]
    about = {"scan_id": scan_id, "status": row["status"], "metrics": statistics_of(row), "timings": row["timings"]}
    if query.format == "json":
        return tagged(request, answer({**about, "results" if older else "data": found, "next": page.next}))
    flat = flattened_page(found, page.next) if query.format == "csv" else _whole_page(found, page.next)
    return tagged(request, page_answer(flat, query.format, about))


def _listing(scan_id: str, query: ResultQuery) -> Listing:
    key = (FOUND.rank, FOUND.seq) if query.order == "rank" else (FOUND.seq,)
    where = [FOUND.scan_id == scan_id] + ([FOUND.seq > query.since] if query.since else [])
    return Listing(columns=list(FOUND), key=key, where=where)


def flattened_page(found: Sequence[Mapping[str, Any]], more: str | None) -> Page:
    """One column a value, for spreadsheets: the same as in the files that scans write."""
    flat = [flattened(each) for each in found]
    names = columns_of(flat)
    return Page(names=tuple(names), rows=[tuple(row.get(name) for name in names) for row in flat], next=more)


def _whole_page(found: Sequence[Mapping[str, Any]], more: str | None) -> Page:
    names = tuple(found[0]) if found else ()
    return Page(names=names, rows=[tuple(each.values()) for each in found], next=more)


async def stats(request: Request, scan_id: Annotated[ScanId, Path()]) -> Response:
    """Tell how a scan went, in numbers: counts, stages, tickers a second."""
    return answer(statistics_of(await context_of(request).under_way.row(scan_id)))


async def cancel(request: Request, scan_id: Annotated[ScanId, Path()]) -> Response:
    """Stop a scan; `done` is false if it is over already."""
    under_way = context_of(request).under_way
    await under_way.row(scan_id)
    done = await under_way.cancel(scan_id)
    if done:
        await audit(request, "scan_cancelled", {"scan_id": scan_id})
    return answer({"scan_id": scan_id, "done": done})


def _route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, tag="scans", **{"scope": "read", **more})


ROUTES = (
    _route(
        "POST",
        CANONICAL,
        start,
        scope="scan",
        aliases=("/api/scan/execute", "/scan/start", "/scan"),
        status=202,
        also=(200,),
        model=ScanStarted,
    ),
    _route("GET", CANONICAL, list_, aliases=("/api/scan/list",), model=SCAN_PAGE),
    _route("GET", f"{CANONICAL}/{{scan_id}}", show, model=SCAN, problems=(404,)),
    _route(
        "GET",
        f"{CANONICAL}/{{scan_id}}/progress",
        progress,
        aliases=("/api/scan/progress/{scan_id}", "/scan/progress/{scan_id}"),
        model=Progress,
        problems=(404,),
    ),
    _route(
        "GET",
        f"{CANONICAL}/{{scan_id}}/results",
        results,
        aliases=("/api/scan/results/{scan_id}", "/scan/results/{scan_id}"),
        model=ScanResults | Columnar,
        problems=(404,),
    ),
    _route(
        "GET",
        f"{CANONICAL}/{{scan_id}}/stats",
        stats,
        aliases=("/scan/stats/{scan_id}",),
        model=Document,
        problems=(404,),
    ),
    _route("POST", f"{CANONICAL}/{{scan_id}}/cancel", cancel, scope="scan", model=Done, problems=(404,)),
)
