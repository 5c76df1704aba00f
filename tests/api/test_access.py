from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from api.access import Access
from api.problems import Problem, problem_response
from api.traffic import UNKNOWN_ROUTE, Traffic
from core.errors import RetryLater
from tests.fix_storage import StillClock


async def asked(app: Any, *, method: str = "GET", path: str = "/x", headers: Any = ()) -> tuple[Any, Traffic]:
    """Return (status, headers, body) and the counts."""
    traffic, sent = Traffic(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("127.0.0.1", 1)}
    await Access(app, traffic, StillClock())(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return (sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:])), traffic


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = type("Route", (), {"path": "/x/{id}"})
    await Response(scope["method"])(scope, receive, send)


async def test_every_request_has_a_number_of_the_clients_or_of_ours() -> None:
    (_, given, _), _ = await asked(fine, headers=[(b"x-request-id", b"abc-1")])
    assert given["x-request-id"] == "abc-1"
    (_, made, _), _ = await asked(fine, headers=[(b"x-request-id", b"bad id\nforged")])
    assert re.fullmatch("[0-9a-f]{16}", made["x-request-id"])


async def test_requests_are_counted_by_the_route_not_by_the_path() -> None:
    _, traffic = await asked(fine, path="/x/7")
    assert traffic.requests == {("GET", "/x/{id}", 200): 1} and traffic.under_way == 0


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await problem_response(scope, Problem(404, "not_found", "no such path"))(scope, receive, send)


async def test_what_anybody_may_send_makes_no_name_of_its_own() -> None:
    _, traffic = await asked(nowhere, method="BREW", path="/pot/1")
    assert traffic.requests == {(UNKNOWN_ROUTE, UNKNOWN_ROUTE, 404): 1}


async def test_a_refused_request_is_one_line_of_the_log_without_its_query() -> None:
    with capture_logs() as lines:
        await asked(nowhere, path="/pot")
    (line,) = lines
    assert (line["event"], line["status"], line["code"], line["path"]) == ("request_refused", 404, "not_found", "/pot")
    assert line["reason"] == "no such path" and line["client"] == "127.0.0.1"


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ZeroDivisionError("secret")


async def test_a_fault_of_ours_is_a_500_without_its_words_and_one_line_with_them() -> None:
    with capture_logs() as lines:
        (status, head, body), traffic = await asked(broken)
    assert (status, head["content-type"]) == (500, "application/problem+json")
    assert b"secret" not in body and head["x-request-id"].encode() in body
    assert [line["event"] for line in lines] == ["request_failed"] and lines[0]["exc_info"]
    assert sum(traffic.requests.values()) == 1


async def away(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RetryLater("is away")


async def test_a_database_that_is_away_is_no_fault_of_ours() -> None:
    with capture_logs() as lines:
        (status, head, _), _ = await asked(away)
    assert (status, head["retry-after"]) == (503, "5")
    assert [line["event"] for line in lines] == ["request_refused"]


async def torn(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    with capture_logs() as lines, pytest.raises(ConnectionAbortedError):
        await asked(torn)
    assert [line["event"] for line in lines] == ["request_failed"]


async def test_head_is_asked_of_the_handler_of_get() -> None:
    (status, _, body), _ = await asked(fine, method="HEAD")
    assert (status, body) == (200, b"GET"), "the server leaves the body out"


async def test_what_is_no_request_passes() -> None:
    passed = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(scope["type"])

    await Access(app, Traffic(), StillClock())({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert passed == ["lifespan"]
