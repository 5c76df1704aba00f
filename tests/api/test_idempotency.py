from __future__ import annotations

from typing import Any

import pytest

from tests.fix_api import Answer, RunningApi

SCANS = "/api/v1/scans"
KEPT_BODIES = "SELECT body FROM api_idempotency"


def start(api: RunningApi, key: str, body: Any = None, *, path: str = SCANS, user: str | None = None) -> Answer:
    body = {"expression": "close > 1"} if body is None else body
    return api.ask("POST", path, body, key=user, headers={"Idempotency-Key": key})


def test_the_same_request_twice_is_one_scan_with_one_answer(api: RunningApi) -> None:
    first, again = start(api, "a"), start(api, "a")
    assert (first.status, again.status) == (202, 202)
    assert again.body == first.body and again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    listed = api.ask("GET", SCANS).json["data"]
    assert [scan["id"] for scan in listed].count(first.json["scan_id"]) == 1


def test_a_key_belongs_to_one_request(api: RunningApi) -> None:
    start(api, "b")
    for other in (start(api, "b", {"expression": "close > 2"}), start(api, "b", path="/scan/start")):
        assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_what_was_refused_for_its_content_is_refused_again_alike(api: RunningApi) -> None:
    first, again = (start(api, "c", {"expression": "clos > 1"}) for _ in range(2))
    assert (first.status, again.status, again.headers["idempotency-replayed"]) == (422, 422, "true")
    assert again.headers["content-type"] == "application/problem+json"


def test_what_was_refused_for_want_of_a_scope_may_be_tried_again(api: RunningApi) -> None:
    reader = api.key("read")
    for _ in range(2):
        refused = start(api, "d", user=reader)
        assert refused.status == 403 and "idempotency-replayed" not in refused.headers


def test_a_fault_is_not_kept(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("api.handlers.scans.engine_request", broken)
        assert start(api, "e").status == 500
    assert start(api, "e").status == 202


@pytest.mark.parametrize("key", ["x" * 101, "a b", "ä"])
def test_a_key_has_a_form(api: RunningApi, key: str) -> None:
    refused = start(api, key)
    assert (refused.status, refused.json["code"]) == (422, "idempotency_key_wrong")


def test_no_token_is_kept(api: RunningApi) -> None:
    body = {"name": "again", "scopes": ["read"]}
    made = [
        api.ask("POST", "/api/v1/auth/tokens", body, key=api.token(), headers={"Idempotency-Key": "f"}).json["key"]
        for _ in range(2)
    ]
    assert made[0] != made[1]


def test_no_password_is_kept(api: RunningApi) -> None:
    again = {"Idempotency-Key": "g"}
    added = api.ask("POST", "/api/v1/users", {"name": "bea", "role": "viewer"}, headers=again).json
    path = f"/api/v1/users/{added['id']}/password"
    passwords = [api.ask("POST", path, headers={"Idempotency-Key": "h"}).json["password"] for _ in range(2)]
    assert passwords[0] != passwords[1]
    rows = api.do(api.context.database.read(lambda engine: engine.connect().exec_driver_sql(KEPT_BODIES).all()))
    assert not [body for (body,) in rows if b"password" in (body or b"")]


def test_a_key_that_may_not_gets_no_answer_of_one_that_may(api: RunningApi) -> None:
    assert start(api, "i", user=api.key("read", "scan")).status == 202
    assert start(api, "i", user=api.key("read")).status == 403
