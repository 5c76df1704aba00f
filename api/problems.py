"""What a refused request gets: problem+json (RFC 9457), one shape for all. Shows no stack and no input."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from api.answers import encode
from core.errors import EXIT_USAGE, NotRunning, RetryLater, TickerdError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""When what is away is worth another question."""


class Problem(Exception):
    """What a request gets. `code`: constant snake_case, for programs; `detail`: one sentence, for people."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.extra = dict(headers or {}), dict(extra or {})
        super().__init__(f"{code}: {detail}")


def problem_response(scope: Scope, problem: Problem) -> Response:
    """Return the answer to the request of `scope`, of which it takes only the number."""
    state = scope.setdefault("state", {})
    state["problem"] = problem
    body = {
        "type": f"urn:tickerd:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": state.get("request_id"),
        **problem.extra,
    }
    return Response(encode(body), problem.status, problem.headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Return what an error of the product means to who asked."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, NotRunning):
        return Problem(503, "control_unreachable", str(error), headers=_later())
    if isinstance(error, RetryLater):
        return Problem(503, "try_later", str(error), headers=_later())
    if isinstance(error, TickerdError) and error.exit_code == EXIT_USAGE:
        return Problem(422, "wrong_request", str(error))
    if isinstance(error, TickerdError):
        return Problem(409, "refused", str(error))
    return Problem(500, "internal_error", "a fault of tickerd; its log has it under this request_id")


def _of_http(error: HTTPException) -> Problem:
    code = HTTPStatus(error.status_code).name.lower()
    return Problem(error.status_code, code, str(error.detail), headers=error.headers)


def _later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}


async def answer_error(connection: HTTPConnection, error: Exception) -> Response:
    """Answer any error that a handler raised."""
    return problem_response(connection.scope, problem_of(error))
