from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.fix_api import PASSWORD, PATIENCE_S, Answer, RunningApi, new_folder, served, settings_of, with_own_password

LOGIN, ME, REFRESH = "/api/v1/auth/login", "/api/v1/auth/me", "/api/v1/auth/refresh"


def sign_in(api: RunningApi, password: str = PASSWORD, **more: object) -> Answer:
    return api.ask("POST", LOGIN, {"user": "admin", "password": password, **more}, key="")


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].split(";")[0]


def test_the_first_start_makes_an_admin_whose_password_serves_only_to_choose_another(
    sqlite_template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder), folder) as api:
        file = folder / "state" / "admin_password"
        password = file.read_text().strip()
        assert len(password) == 20 and password in capfd.readouterr().err
        if sys.platform != "win32":
            assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((folder / "state" / "api_secret").stat().st_mode)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        signed = sign_in(api, password).json
        assert signed["must_change_password"] is True
        token = signed["access_token"]
        refused = api.ask("GET", "/api/v1/quotes", key=token)
        assert (refused.status, refused.json["code"]) == (403, "password_change_required")
        assert api.ask("POST", "/api/v1/auth/tokens", {"name": "k", "scopes": ["read"]}, key=token).status == 403
        assert api.ask("GET", ME, key=token).json["user"] == "admin"
        with_own_password(api)
        assert not file.exists()
        assert api.ask("GET", ME, key=token).status == 401, "a new password ends every sign-in"
        assert sign_in(api, password).status == 401
        assert sign_in(api).json["must_change_password"] is False
    with served(settings_of(folder), folder) as api:
        assert sign_in(api).status == 200 and not file.exists(), "there is a user: no other first start"


def test_nobody_gets_in_without_a_credential_or_with_a_wrong_one(api: RunningApi) -> None:
    nobody = api.ask("GET", "/api/v1/quotes", key="")
    assert (nobody.status, nobody.json["code"]) == (401, "not_signed_in")
    assert nobody.headers["www-authenticate"] == "Bearer"
    for wrong in ("stk_unknown", "no.token.at-all", "x" * 5000):
        answer = api.ask("GET", "/api/v1/quotes", key=wrong)
        assert (answer.status, answer.json["code"]) == (401, "credential_invalid")
        assert "error=" in answer.headers["www-authenticate"]
    assert api.ask("GET", "/livez", key="").status == 200


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(api: RunningApi) -> None:
    wrong = sign_in(api, "not the password")
    unknown = api.ask("POST", LOGIN, {"user": "nobody", "password": "not the password"}, key="")
    assert wrong.status == unknown.status == 401
    assert wrong.json["detail"] == unknown.json["detail"] and wrong.json["code"] == unknown.json["code"]


def test_a_refresh_token_serves_once_and_the_second_time_ends_the_sign_in(api: RunningApi) -> None:
    first = sign_in(api).json
    second = api.ask("POST", REFRESH, {"refresh_token": first["refresh_token"]}, key="").json
    assert second["refresh_token"] != first["refresh_token"]
    assert api.ask("GET", ME, key=second["access_token"]).status == 200
    stolen = api.ask("POST", REFRESH, {"refresh_token": first["refresh_token"]}, key="")
    assert (stolen.status, stolen.json["code"]) == (401, "refresh_token_invalid")
    assert api.ask("POST", REFRESH, {"refresh_token": second["refresh_token"]}, key="").status == 401
    assert api.ask("GET", ME, key=second["access_token"]).status == 401, "who stole it is out, and so is its owner"


def test_signing_out_ends_the_access_token_at_once(api: RunningApi) -> None:
    token = sign_in(api).json["access_token"]
    assert api.ask("GET", ME, key=token).status == 200
    assert api.ask("POST", "/api/v1/auth/logout", key=token).json == {"ok": True}
    assert api.ask("GET", ME, key=token).status == 401


def test_a_page_gets_a_cookie_that_no_script_reads_and_no_other_site_sends(api: RunningApi) -> None:
    answer = sign_in(api, session=True)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("tickerd_session=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert not {"access_token", "refresh_token"} & answer.json.keys()
    sent = {"Cookie": cookie_of(answer)}
    me = api.ask("GET", ME, key="", headers=sent)
    assert me.json["csrf_token"] == answer.json["csrf_token"] and len(me.json["csrf_token"]) == 64


def test_a_pages_change_needs_the_csrf_token_and_its_own_origin(api: RunningApi) -> None:
    answer = sign_in(api, session=True)
    csrf, cookie = answer.json["csrf_token"], {"Cookie": cookie_of(answer)}
    own = {"Origin": f"http://localhost:{api.port}"}
    out = "/api/v1/auth/logout"
    assert api.ask("POST", out, key="", headers=cookie | own).json["code"] == "csrf"
    assert api.ask("POST", out, key="", headers=cookie | own | {"X-CSRF-Token": "0" * 64}).json["code"] == "csrf"
    foreign = api.ask("POST", out, key="", headers=cookie | {"X-CSRF-Token": csrf, "Origin": "http://evil.example"})
    assert (foreign.status, foreign.json["code"]) == (403, "origin_refused")
    assert api.ask("GET", ME, key="", headers=cookie).status == 200
    gone = api.ask("POST", out, key="", headers=cookie | own | {"X-CSRF-Token": csrf})
    assert gone.status == 200 and "Max-Age=0" in gone.headers["set-cookie"]
    over = api.ask("GET", ME, key="", headers=cookie)
    assert (over.status, over.json["code"]) == (401, "not_signed_in"), "the page shows its sign-in"


def test_a_ticket_opens_one_stream_once(api: RunningApi) -> None:
    ticket = api.ask("POST", "/api/v1/auth/ticket", key=api.key("read")).json["ticket"]
    path = f"/api/v1/stream?ticket={ticket}"
    with api.socket(path, key="") as stream:
        stream.send('{"type":"ping","id":7}')
        assert json.loads(stream.recv(timeout=PATIENCE_S)) == {"id": 7, "type": "pong"}
    stream_of_lines = {"Accept": "text/event-stream"}
    again = api.ask("GET", f"{path}&channels=quotes", key="", headers=stream_of_lines)
    assert (again.status, again.json["code"]) == (401, "ticket_invalid")
    fresh = api.ask("POST", "/api/v1/auth/ticket", key=api.key("read")).json["ticket"]
    assert api.ask("GET", f"/api/v1/quotes?ticket={fresh}", key="").status == 401, "of streams alone"


def test_a_key_may_do_what_it_was_made_for_and_nothing_of_its_owner(api: RunningApi) -> None:
    reader = api.key("read")
    assert api.ask("GET", "/api/v1/quotes", key=reader).status == 200
    refused = api.ask("GET", "/api/v1/users", key=reader)
    assert (refused.status, refused.json["code"], refused.json["scope"]) == (403, "scope_missing", "admin")
    for path, body in (
        ("/tokens", {"name": "k", "scopes": ["read"]}),
        ("/password", {"old": PASSWORD, "new": "x" * 12}),
    ):
        answer = api.ask("POST", "/api/v1/auth" + path, body, key=reader)
        assert (answer.status, answer.json["code"]) == (403, "sign_in_required")
    assert api.ask("GET", "/api/v1/quotes", key="", headers={"X-API-Key": reader}).status == 200


def test_a_key_is_told_once_listed_without_itself_and_over_when_revoked(api: RunningApi) -> None:
    token = api.token()
    made = api.ask("POST", "/api/v1/auth/tokens", {"name": "mine", "scopes": ["read"]}, key=token)
    key, key_id = made.json["key"], made.json["id"]
    assert made.status == 201 and key.startswith("stk_") and len(key) == 47
    listed = api.ask("GET", "/api/v1/auth/tokens", key=token)
    assert key not in listed.body.decode() and key_id in [row["id"] for row in listed.json["data"]]
    assert "token_hash" not in listed.json["data"][0]
    assert api.ask("GET", "/api/v1/quotes", key=key).status == 200
    assert api.ask("DELETE", f"/api/v1/auth/tokens/{key_id}", key=token).status == 200
    assert api.ask("GET", "/api/v1/quotes", key=key).status == 401
    assert api.ask("DELETE", f"/api/v1/auth/tokens/{key_id}", key=token).status == 404
    past = {"name": "old", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}
    assert (
        api.ask("GET", "/api/v1/quotes", key=api.ask("POST", "/api/v1/auth/tokens", past, key=token).json["key"]).status
        == 401
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "admin"},
        {"user": "admin", "password": PASSWORD, "role": "admin"},
        {"user": ["admin"], "password": PASSWORD},
        {"user": "admin\x00", "password": PASSWORD},
        {"user": "a" * 5000, "password": PASSWORD},
        [],
        "text",
    ],
)
def test_a_sign_in_that_makes_no_sense_is_422_and_shows_nothing_of_what_was_sent(api: RunningApi, body: object) -> None:
    answer = api.ask("POST", LOGIN, body, key="")
    assert answer.status == 422 and answer.headers["content-type"] == "application/problem+json"
    assert PASSWORD not in answer.body.decode()


def test_a_weak_password_is_refused_with_what_would_be_right(api: RunningApi) -> None:
    for weak in ("short", "password1234", "the-admin-of-all"):
        answer = api.ask("POST", "/api/v1/auth/password", {"old": PASSWORD, "new": weak}, key=api.token())
        assert answer.status == 422 and "10 to 256 characters" in answer.json["detail"]


def test_a_ticket_makes_no_key_and_no_other_ticket_and_is_over_with_its_sign_in(api: RunningApi) -> None:
    token, stream = api.token(), {"Accept": "text/event-stream"}

    def ticket() -> str:
        return str(api.ask("POST", "/api/v1/auth/ticket", key=token).json["ticket"])

    key = {"name": "stolen", "scopes": ["admin"]}
    for path, body in (("/api/v1/auth/tokens", key), ("/api/v1/auth/ticket", None)):
        assert api.ask("POST", f"{path}?ticket={ticket()}", body, key="", headers=stream).status == 401
    late = ticket()
    api.ask("POST", "/api/v1/auth/logout", key=token)
    refused = api.ask("GET", f"/api/v1/stream?channels=quotes&ticket={late}", key="", headers=stream)
    assert (refused.status, refused.json["code"]) == (401, "ticket_invalid")
