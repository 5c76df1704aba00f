from __future__ import annotations

import pytest

from net.client import Answer, NoAnswer
from proxies.causes import cause_of_answer, cause_of_failure
from proxies.model import Cause

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("code", "connect_status", "secured", "cause"),
    [
        (7, 0, False, "refused"),
        (28, 0, False, "timeout"),
        (28, 200, True, "timeout"),
        (56, 0, False, "reset"),
        (35, 200, False, "reset"),
        (52, 200, True, "reset"),
        (7, 407, False, "needs_password"),
        (7, 429, False, "proxy_limit"),
        (7, 403, False, "connect_denied"),
        (7, 502, False, "connect_denied"),
        (97, 0, False, "connect_denied"),
        (60, 200, False, "bad_certificate"),
        (51, 0, False, "bad_certificate"),
        (63, 200, True, "too_big"),
    ],
)
def test_a_failure_is_told_by_its_phase(code: int, connect_status: int, secured: bool, cause: Cause) -> None:
    error = NoAnswer("curl", where="x", code=code, connect_status=connect_status, secured=secured)
    assert cause_of_failure(error) == cause


def test_headers_without_end_are_too_big() -> None:
    error = NoAnswer("Too large response headers: 312505 > 307200", where="x", code=56, connect_status=200)
    assert cause_of_failure(error) == "too_big"


@pytest.mark.parametrize(
    ("status", "headers", "body", "cause"),
    [
        (200, JSON, b' {"quoteResponse": {}}', "ok"),
        (200, HTML, b'{"a": 1}', "ok"),
        (429, HTML, b"Edge: Too Many Requests", "yahoo_limit"),
        (999, HTML, b"", "yahoo_limit"),
        (401, JSON, b"{}", "crumb_refused"),
        (500, JSON, b"{}", "server_error"),
        (503, HTML, b"<html>", "server_error"),
        (302, {"location": "https://guce.yahoo.com/consent"}, b"", "consent"),
        (302, {"location": "http://192.168.0.1/"}, b"", "html"),
        (200, HTML, b"<html>Are you a human?</html>", "captcha"),
        (200, HTML, b"<html>your consent</html>", "consent"),
        (200, HTML, b"<html>welcome to the network</html>", "html"),
        (200, {"content-type": "text/plain"}, b"hello", "not_json"),
        (200, JSON, b"", "not_json"),
        (400, JSON, b"{}", "ok"),
    ],
)
def test_an_answer_is_told_by_status_and_form(status: int, headers: dict[str, str], body: bytes, cause: Cause) -> None:
    assert cause_of_answer(Answer(status=status, headers=headers, body=body)) == cause
