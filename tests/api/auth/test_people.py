from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed

from api.streams.doors import VALID_S
from tests.fix_api import PASSWORD, PATIENCE_S, RunningApi

USERS = "/api/v1/users"


def test_a_user_is_added_with_a_password_for_one_time_and_signs_in(api: RunningApi) -> None:
    made = api.ask("POST", USERS, {"name": "Ann", "role": "user", "email": "Ann@Example.org"})
    user_id, first = made.json["id"], made.json["password"]
    assert made.status == 201 and made.json["name"] == "ann" and len(first) == 20
    shown = api.ask("GET", f"{USERS}/{user_id}").json
    assert (shown["role"], shown["email"], shown["must_change_password"]) == ("analyst", "ann@example.org", True)
    assert "password_hash" not in shown
    signed = api.ask("POST", "/api/v1/auth/login", {"user": "ann@example.org", "password": first}, key="").json
    body = {"old": first, "new": PASSWORD}
    signed = api.ask("POST", "/api/v1/auth/password", body, key=signed["access_token"]).json
    assert signed["scopes"] == ["metrics", "read", "scan"]
    token = signed["access_token"]
    assert api.ask("GET", "/api/v1/quotes", key=token).status == 200
    assert api.ask("GET", USERS, key=token).json["code"] == "scope_missing"
    api.ask("PATCH", f"{USERS}/{user_id}", {"role": "viewer"})
    assert api.ask("GET", "/api/v1/quotes", key=token).status == 401, "who may do something else signs in anew"
    token = api.token("ann")
    locked = api.ask("PATCH", f"{USERS}/{user_id}", {"is_active": False})
    assert locked.json["is_active"] is False and api.ask("GET", "/api/v1/quotes", key=token).status == 401
    assert api.ask("POST", "/api/v1/auth/login", {"user": "ann", "password": PASSWORD}, key="").status == 401
    assert api.ask("DELETE", f"{USERS}/{user_id}").status == 200
    assert api.ask("GET", f"{USERS}/{user_id}").json["code"] == "unknown_user"


def test_nobody_changes_his_own_role_by_saying_more_than_is_asked(api: RunningApi) -> None:
    body = {"old": PASSWORD, "new": "another otter 43", "role": "admin"}
    assert api.ask("POST", "/api/v1/auth/password", body, key=api.token()).status == 422
    for more in ({"password_hash": "x"}, {"id": 7}, {"must_change_password": False}, {"name": "root"}):
        assert api.ask("PATCH", USERS + "/1", more).status == 422


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "role": "viewer"},
        {"name": "a b", "role": "viewer"},
        {"name": "../x", "role": "viewer"},
        {"name": "' OR 1=1 --", "role": "viewer"},
        {"name": "bob", "role": "root"},
        {"name": "bob", "role": "viewer", "email": "nowhere"},
        {"name": "bob"},
    ],
)
def test_a_user_that_cannot_be_is_422(api: RunningApi, body: dict[str, str]) -> None:
    assert api.ask("POST", USERS, body).status == 422


def test_a_name_is_taken_once_and_the_last_admin_stays(api: RunningApi) -> None:
    assert api.ask("POST", USERS, {"name": "ADMIN", "role": "viewer"}).status == 409
    for change in ({"role": "viewer"}, {"is_active": False}):
        answer = api.ask("PATCH", USERS + "/1", change)
        assert answer.status == 409 and "last active admin" in answer.json["detail"]
    assert api.ask("DELETE", USERS + "/1").status == 409
    assert api.ask("PATCH", USERS + "/999", {"role": "viewer"}).status == 404
    assert api.ask("PATCH", USERS + "/1", {"is_active": None}).status == 422


def test_a_reset_password_is_for_one_time(api: RunningApi) -> None:
    user_id = api.ask("POST", USERS, {"name": "cid", "role": "viewer"}).json["id"]
    password = api.ask("POST", f"{USERS}/{user_id}/password").json["password"]
    signed = api.ask("POST", "/api/v1/auth/login", {"user": "cid", "password": password}, key="")
    assert signed.json["must_change_password"] is True
    assert api.ask("POST", USERS + "/999/password").status == 404


def test_who_gets_another_password_from_an_admin_has_no_stream_any_more(api: RunningApi) -> None:
    made = api.ask("POST", USERS, {"name": "deb", "role": "viewer"}).json
    body = {"user": "deb", "password": made["password"]}
    token = api.ask("POST", "/api/v1/auth/login", body, key="").json["access_token"]
    api.ask("POST", "/api/v1/auth/password", {"old": made["password"], "new": PASSWORD}, key=token)
    doors = api.context.doors
    path = "/api/v1/stream"
    with api.socket(path) as admins, api.socket(path, key="", headers=bearer(api.token("deb"))) as debs:
        for socket in (admins, debs):
            socket.send('{"type":"ping"}')
            assert "pong" in str(socket.recv(timeout=PATIENCE_S))
        assert api.ask("POST", f"{USERS}/{made['id']}/password").status == 200
        api.do(doors.close_refused(doors.clock.monotonic_s() + VALID_S))
        with pytest.raises(ConnectionClosed) as closed:
            debs.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
        admins.send('{"type":"ping"}')
        assert "pong" in str(admins.recv(timeout=PATIENCE_S)), "nobody else's"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_users_are_listed_a_page_at_a_time(api: RunningApi) -> None:
    for name in ("dan", "eve"):
        api.ask("POST", USERS, {"name": name, "role": "viewer"})
    names, cursor = [], ""
    while cursor is not None:
        page = api.ask("GET", f"{USERS}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        names += [row["name"] for row in page["data"]]
        cursor = page["next"]
    assert {"admin", "dan", "eve"} <= set(names) and len(names) == len(set(names))


def test_what_was_done_is_in_the_audit_log(api: RunningApi) -> None:
    api.ask("POST", "/api/v1/auth/login", {"user": "admin", "password": "wrong password"}, key="")
    made = api.ask("POST", USERS, {"name": "fay", "role": "viewer"}).json
    rows = api.ask("GET", "/api/v1/audit?limit=50").json["data"]
    newest = rows[0]
    assert (newest["action"], newest["actor"], newest["address"]) == ("user_added", "admin", "127.0.0.1")
    assert newest["detail"]["user"] == made["id"] and newest["detail"]["with"].startswith("key:")
    assert rows[1]["action"] == "sign_in_failed"
    assert made["password"] not in api.ask("GET", "/api/v1/audit").body.decode()
    older = api.ask("GET", f"/api/v1/audit?limit=1&cursor={newest['id']}").json["data"]
    assert older[0]["id"] == rows[1]["id"]
