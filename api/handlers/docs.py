"""The API's own description: OpenAPI, AsyncAPI and a page to read and try them. Loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from api.answers import JSON, encode
from api.asyncapi import asyncapi
from api.context import context_of
from api.etags import tagged
from api.files import carried
from api.openapi import openapi
from api.problems import Problem
from api.route import Route
from api.schemas import Document

PAGES = Path(__file__).parent.parent / "pages"
BASE = "/api/docs"


def _refuse_if_off(request: Request) -> None:
    if not context_of(request).settings.api.docs:
        raise Problem(404, "not_found", "the description is turned off ([api] docs)")


async def openapi_document(request: Request) -> Response:
    """Give the OpenAPI 3.1 document of every route."""
    _refuse_if_off(request)
    return tagged(request, Response(encode(openapi(request.app)), media_type=JSON))


async def asyncapi_document(request: Request) -> Response:
    """Give the AsyncAPI 3.0 document of the streams."""
    _refuse_if_off(request)
    return tagged(request, Response(encode(asyncapi()), media_type=JSON))


def _page(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        _refuse_if_off(request)
        return carried(request, PAGES / name)

    return serve


def _page_route(path: str, name: str) -> Route:
    return Route(method="GET", path=path, handler=_page(name), scope="public", tag="docs", hidden=True)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/openapi.json",
        handler=openapi_document,
        scope="read",
        tag="docs",
        model=Document,
    ),
    Route(
        method="GET",
        path="/api/v1/asyncapi.json",
        handler=asyncapi_document,
        scope="read",
        tag="docs",
        model=Document,
    ),
    _page_route(BASE, "docs.html"),
    *(_page_route(f"{BASE}/{name}", name) for name in ("docs.js", "swagger-ui-bundle.js", "swagger-ui.css")),
)
