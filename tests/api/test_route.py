from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import Field
from starlette.responses import Response

from api.answers import answer
from api.principals import LOCAL, Principal
from api.problems import Problem
from api.route import Route, asked, mount
from api.schemas import Asked


class Query(Asked):
    limit: int = Field(5, ge=1, le=9, description="How many.")


async def plain(request: Request) -> Response:
    """Give what was asked for."""
    return answer({"limit": asked(request, Query).limit})


async def solved(number: int) -> Response:
    """Give a number of the path."""
    return answer({"number": number})


PLAIN = Route(method="GET", path="/new", aliases=("/old",), handler=plain, scope="read", tag="x", query=Query)
SOLVED = Route(method="GET", path="/numbers/{number}", handler=solved, scope="read", tag="x", problems=(404,))


@pytest.fixture
def app() -> FastAPI:
    found = FastAPI()
    mount(found, PLAIN)
    mount(found, SOLVED)
    return found


async def got(app: FastAPI, path: str, query: str = "", *, who: Principal = LOCAL) -> bytes:
    body = b""

    async def send(message: Any) -> None:
        nonlocal body
        body += message.get("body", b"")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    await app(scope | {"state": {"principal": who}}, receive, send)
    return body


async def test_an_alias_is_the_same_handler(app: FastAPI) -> None:
    assert await got(app, "/new") == await got(app, "/old") == b'{"limit":5}'
    assert await got(app, "/numbers/7") == b'{"number":7}'


async def test_who_may_not_is_refused_before_anything_is_looked_at(app: FastAPI) -> None:
    other = Principal(name="ann", kind="key", scopes=frozenset(("scan",)))
    for path in ("/old", "/numbers/seven"):
        with pytest.raises(Problem, match="scope_missing"):
            await got(app, path, "limit=1000", who=other)


@pytest.mark.parametrize("query", ["limit=10", "limit=x", "other=1"])
async def test_a_wrong_query_is_refused_as_by_the_framework(app: FastAPI, query: str) -> None:
    with pytest.raises(RequestValidationError) as refused:
        asked(Request({"type": "http", "query_string": query.encode(), "headers": []}), Query)
    assert refused.value.errors()[0]["loc"][0] == "query"


def test_the_description_has_scope_query_problems_and_which_path_is_old(app: FastAPI) -> None:
    document = get_openapi(title="x", version="1", routes=app.routes)
    new, old = (document["paths"][path]["get"] for path in ("/new", "/old"))
    assert new["x-scope"] == "read" and new["summary"] == "Give what was asked for"
    assert (new.get("deprecated"), old["deprecated"]) == (None, True)
    (parameter,) = new["parameters"]
    assert (parameter["name"], parameter["schema"]["maximum"], parameter["description"]) == ("limit", 9, "How many.")
    assert {"401", "403", "404", "422"} <= set(document["paths"]["/numbers/{number}"]["get"]["responses"])
