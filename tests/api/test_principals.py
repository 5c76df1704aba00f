from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from api.principals import ANONYMOUS, LOCAL, Principal, principal_of, require
from api.problems import Problem


def asking(principal: Principal | None) -> HTTPConnection:
    state = {"principal": principal} if principal else {}
    return HTTPConnection({"type": "http", "headers": [], "state": state})


READER = Principal(name="ann", kind="key", scopes=frozenset(("read",)), user_id=7)


def test_a_public_route_takes_anybody() -> None:
    assert require(asking(None), "public") is ANONYMOUS


def test_nobody_is_asked_to_sign_in_and_somebody_is_told_what_is_missing() -> None:
    with pytest.raises(Problem) as nobody:
        require(asking(None), "read")
    assert (nobody.value.status, nobody.value.headers) == (401, {"WWW-Authenticate": "Bearer"})
    with pytest.raises(Problem) as reader:
        require(asking(READER), "control")
    assert (reader.value.status, reader.value.code, reader.value.extra) == (403, "scope_missing", {"scope": "control"})
    assert require(asking(READER), "read") is READER


def test_a_password_for_one_time_opens_nothing_until_it_is_changed() -> None:
    new = Principal(name="admin", kind="token", scopes=LOCAL.scopes, must_change=True)
    with pytest.raises(Problem, match="password_change_required"):
        require(asking(new), "read")


def test_who_asks_is_nobody_if_no_layer_said_so() -> None:
    assert principal_of(asking(None)) is ANONYMOUS
