"""One row of the route table, and how it becomes a route that checks its scope first. Knows no path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from api.principals import ScopeName, require
from api.problems import MEDIA_TYPE as PROBLEM
from api.schemas import Columnar, ProblemBody

Handler = Callable[..., Awaitable[Any]]
Q = TypeVar("Q", bound=BaseModel)
WEBSOCKET = "WS"
SCOPE_KEY = "x-scope"
WITH_BODY = ("POST", "PUT", "PATCH")
LINES = ("text/csv", "application/x-ndjson")
"""What a page may also come as."""
OF_BODY = (400, 408, 409, 413)
"""No JSON; too slow; its Idempotency-Key is in use; too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path and what answers it. `aliases`: older paths of the same handler.

    `query`: what the handler reads with `asked`; `model`: of the answer's body, `also`: its other statuses, `media`: if
    it is no JSON; `problems`: statuses it refuses with, beside those that any route may give; `hidden`: not in the
    OpenAPI document, as pages are.
    """

    method: str
    path: str
    handler: Handler
    scope: ScopeName
    tag: str
    aliases: tuple[str, ...] = ()
    status: int = 200
    model: Any = None
    problems: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    media: tuple[str, ...] = ()
    hidden: bool = False
    query: type[BaseModel] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.aliases)


class GuardedRoute(APIRoute):
    """Refuses who may not before it looks at parameters or body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        scope = (self.openapi_extra or {})[SCOPE_KEY]
        answer = self.endpoint if _takes_request_alone(self.dependant) else super().get_route_handler()

        async def guarded(request: Request) -> Response:
            require(request, scope)
            response: Response = await answer(request)
            return response

        return guarded


def _takes_request_alone(handler: Dependant) -> bool:
    """Whether there is nothing to solve: the framework's way to find that out costs a third of a page of quotes."""
    solved = (handler.path_params, handler.query_params, handler.header_params, handler.cookie_params)
    return not (any(solved) or handler.body_params or handler.dependencies)


def asked(request: Request, query: type[Q]) -> Q:
    """Return the query of a route that declares it as `query`; RequestValidationError as for any other."""
    try:
        return query.model_validate(dict(request.query_params))
    except ValidationError as error:
        wrong = [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


def _parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    """Return a query as OpenAPI writes it."""
    schema = query.model_json_schema() if query else {"properties": {}}
    return [
        {"name": name, "in": "query", "required": False, "schema": each, "description": each.pop("description", "")}
        for name, each in schema["properties"].items()
    ]


class Socket:
    """A WebSocket's handler as it is: what FastAPI puts around it costs each client ten kilobytes."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(WebSocket(scope, receive, send))


def mount(app: FastAPI, route: Route) -> None:
    """Add a row and its aliases to the application."""
    for path in route.paths:
        if route.method == WEBSOCKET:
            app.router.add_websocket_route(path, Socket(route.handler))  # type: ignore[arg-type]
        else:
            _mount(app, route, path)


def _mount(app: FastAPI, route: Route, path: str) -> None:
    is_alias = path != route.path
    app.router.add_api_route(
        path,
        route.handler,
        methods=[route.method],
        route_class_override=GuardedRoute,
        response_model=None,
        status_code=route.status,
        tags=[route.tag],
        summary=_summary(route.handler),
        responses=_responses(route),
        deprecated=True if is_alias else None,
        operation_id=_operation(route.method, path),
        include_in_schema=not route.hidden,
        openapi_extra={SCOPE_KEY: route.scope, "parameters": _parameters(route.query)},
    )


def _summary(handler: Handler) -> str:
    return (handler.__doc__ or "").strip().splitlines()[0].rstrip(".") if handler.__doc__ else ""


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    done: dict[str, Any] = {"model": route.model} if route.model is not None else {}
    if media := LINES if Columnar in get_args(route.model) else route.media:
        done["content"] = {each: {} for each in media}
    refused = () if route.scope == "public" else (401, 403)
    of_body = OF_BODY if route.method in WITH_BODY else ()
    problem = {"model": ProblemBody, "content": {PROBLEM: {}}}
    found: dict[int | str, dict[str, Any]] = {status: done for status in (route.status, *route.also) if done}
    return found | {status: problem for status in sorted({*refused, *of_body, 422, 429, 503, *route.problems})}


def _operation(method: str, path: str) -> str:
    """Return a name for what clients are made of; `/health` and `/api/v1/health` are two."""
    words = [word.strip("{}") for word in path.replace("/api/v1", "/v1").split("/") if word]
    return "_".join((method.lower(), *words)).replace("-", "_").replace(".", "_")
