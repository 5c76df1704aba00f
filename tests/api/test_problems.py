from __future__ import annotations

import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from api.problems import Problem, answer_error, problem_of, problem_response
from core.errors import EXIT_USAGE, FixByHand, NotRunning, RetryLater, TickerdError


class WrongUse(TickerdError):
    exit_code = EXIT_USAGE


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(418, "teapot", "short and stout"), 418, "teapot"),
        (HTTPException(405, "Method Not Allowed"), 405, "method_not_allowed"),
        (NotRunning("no orchestrator answers"), 503, "control_unreachable"),
        (RetryLater("is away"), 503, "try_later"),
        (WrongUse("is wrong"), 422, "wrong_request"),
        (FixByHand("is damaged"), 409, "refused"),
        (ZeroDivisionError("secret words"), 500, "internal_error"),
    ],
)
def test_each_error_has_its_status_and_its_code(error: Exception, status: int, code: str) -> None:
    found = problem_of(error)
    assert (found.status, found.code) == (status, code)
    assert "secret" not in found.detail


def test_what_is_away_says_when_to_ask_again() -> None:
    assert problem_of(RetryLater("is away")).headers == {"Retry-After": "5"}


async def test_the_answer_has_the_members_of_rfc_9457_and_the_number_of_the_request() -> None:
    scope = {"type": "http", "headers": [], "state": {"request_id": "abc"}}
    response = await answer_error(HTTPConnection(scope), Problem(422, "wrong", "it is", extra={"errors": [1]}))
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:tickerd:problem:wrong",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "it is",
        "code": "wrong",
        "request_id": "abc",
        "errors": [1],
    }


def test_the_layer_around_finds_what_was_refused() -> None:
    scope: dict[str, object] = {"type": "http"}
    problem = Problem(404, "unknown", "no such")
    problem_response(scope, problem)
    assert scope["state"] == {"problem": problem}
