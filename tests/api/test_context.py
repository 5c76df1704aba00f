from __future__ import annotations

from starlette.requests import HTTPConnection

from api.context import context_of
from tests.fix_api import RunningApi


def test_a_handler_finds_what_it_works_with_on_its_request(api: RunningApi) -> None:
    app = type("App", (), {"state": type("State", (), {"context": api.context})})
    assert context_of(HTTPConnection({"type": "http", "app": app})) is api.context
