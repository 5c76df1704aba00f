from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.auth import attempts
from core.errors import RetryLater
from tests.fix_api import PASSWORD, PATIENCE_S, RunningApi, new_folder, served, settings_of, with_own_password

QUOTES = "/api/v1/quotes"
LISTED = "https://page.example.com"


@pytest.fixture(scope="module")
def strict(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server with a name, a listed site and small limits."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("strict"))
    limits = {"requests_per_s": 0.001, "burst": 40, "max_body_kb": 2, "max_streams_per_user": 2}
    named = {"allowed_hosts": ["stocks.example.org"], "cors_origins": [LISTED], "trusted_proxies": ["127.0.0.1"]}
    with served(settings_of(folder, **limits, **named), folder) as found:
        yield with_own_password(found)


def test_another_name_is_refused_before_anything_else(strict: RunningApi) -> None:
    for name in ("evil.example", "evil.example:8000", "localhost.evil.example", "stocks.example.org.evil.example"):
        answer = strict.ask("GET", "/livez", key="", headers={"Host": name})
        assert (answer.status, answer.json["code"]) == (421, "host_refused")
    for name in ("stocks.example.org", "127.0.0.1", "[::1]:8000", "192.168.7.7"):
        assert strict.ask("GET", "/livez", key="", headers={"Host": name}).status == 200


def test_every_answer_carries_the_standing_headers_also_a_refusal(strict: RunningApi) -> None:
    for path, status in (("/livez", 200), (QUOTES, 401), ("/nowhere", 404)):
        answer = strict.ask("GET", path, key="", headers={"Host": "127.0.0.2"})
        assert answer.status == status and "server" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-frame-options"] == "DENY" and answer.headers["cache-control"]


def test_a_listed_site_may_ask_and_another_may_not(strict: RunningApi) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    yes = strict.ask("OPTIONS", QUOTES, key="", headers={"Origin": LISTED, **asked})
    assert yes.status == 204 and yes.headers["access-control-allow-origin"] == LISTED
    no = strict.ask("OPTIONS", QUOTES, key="", headers={"Origin": "http://evil.example", **asked})
    assert no.status == 403 and "access-control-allow-origin" not in no.headers
    read = strict.ask("GET", "/livez", key="", headers={"Origin": LISTED})
    assert (
        read.headers["access-control-allow-origin"] == LISTED and "access-control-allow-credentials" not in read.headers
    )
    assert "access-control-allow-origin" not in strict.ask("GET", "/livez", key="", headers={"Origin": "null"}).headers


def test_a_large_body_is_refused_whether_announced_or_not(strict: RunningApi) -> None:
    login = "/api/v1/auth/login"
    large = strict.ask("POST", login, b"x" * 2049, key="")
    assert (large.status, large.json["code"]) == (413, "body_too_large")
    lied = strict.ask("POST", login, b"{}", key="", headers={"Content-Length": "99999999999999999999999"})
    assert lied.status in (400, 413)
    chunks = [b"%x\r\n%b\r\n" % (1000, b"x" * 1000)] * 3
    with socket.create_connection(("127.0.0.1", strict.port), timeout=30) as raw:
        head = f"POST {login} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.sendall(head.encode() + b"".join(chunks))
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]


def test_behind_a_trusted_proxy_the_address_is_the_clients_and_cookies_are_for_tls(strict: RunningApi) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    body = {"user": "admin", "password": PASSWORD, "session": True}
    answer = strict.ask("POST", "/api/v1/auth/login", body, key="", headers=forwarded)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-tickerd_session=") and "; Secure" in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert strict.ask("GET", "/api/v1/audit?limit=1").json["data"][0]["address"] == "203.0.113.9"
    me = strict.ask("GET", "/api/v1/auth/me", key="", headers=forwarded | {"Cookie": cookie.split(";")[0]})
    assert me.json["user"] == "admin"


def test_who_asks_too_often_is_told_when_to_come_again(strict: RunningApi) -> None:
    strict.keys.clear()
    token = strict.token()
    answers = [strict.ask("GET", QUOTES, key=token, headers={"Host": "127.0.0.1"}) for _ in range(60)]
    allowed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(allowed) >= 5 and len(refused) >= 10 and len(allowed) + len(refused) == 60
    assert refused[-1].json["code"] == "too_many_requests" and int(refused[-1].headers["retry-after"]) >= 1
    left = [int(answer.headers["ratelimit-remaining"]) for answer in allowed]
    assert left == sorted(left, reverse=True) and allowed[0].headers["ratelimit-limit"] == "40"


def test_wrong_keys_use_an_addresss_patience_up(sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, requests_per_s=1e-6, burst=5), folder) as api:
        statuses = [api.ask("GET", QUOTES, key=f"stk_{number}").status for number in range(30)]
    assert statuses[:4] == [401] * 4 and statuses[-1] == 429 and statuses == sorted(statuses)


def test_wrong_passwords_make_one_wait_even_with_the_right_one_and_after_a_new_start(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 600.0)  # longer than a new start takes on any machine
    folder = new_folder(sqlite_template, tmp_path)
    login = "/api/v1/auth/login"
    with served(settings_of(folder), folder) as api:
        with_own_password(api)
        wrong = [api.ask("POST", login, {"user": "admin", "password": f"wrong {n}"}, key="") for n in range(6)]
        assert [answer.status for answer in wrong] == [401] * 5 + [429]
        assert wrong[-1].json["code"] == "too_many_attempts" and 1 <= int(wrong[-1].headers["retry-after"]) <= 601
    with served(settings_of(folder), folder) as api:
        assert api.ask("POST", login, {"user": "admin", "password": PASSWORD}, key="").status == 429


def test_without_accounts_the_page_of_another_site_still_changes_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, auth=False), folder) as api:
        assert api.ask("GET", QUOTES, key="").status == 200
        assert api.ask("GET", "/api/v1/auth/me", key="").json["user"] == "local"
        assert not (folder / "state" / "admin_password").exists()
        evil = {"Origin": "http://evil.example"}
        assert api.ask("DELETE", "/api/v1/system/errors", key="", headers=evil).json["code"] == "origin_refused"
        crossed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert api.ask("GET", QUOTES, key="", headers=crossed).json["code"] == "origin_refused"


def test_a_database_that_is_away_is_told_with_the_standing_headers_and_to_sockets_too(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(sqlite_template, tmp_path)

    def away() -> None:
        raise RetryLater("is away", right="wait")

    with served(settings_of(folder), folder) as api:
        monkeypatch.setattr(api.context.database.reader, "engine", away)
        answer = api.ask("GET", QUOTES, key="stk_any")
        assert (answer.status, answer.json["code"]) == (503, "try_later")
        assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/api/v1/stream", "/ws/signals"):
            with pytest.raises(InvalidStatus) as refused, api.socket(path, key="stk_any"):
                pass
            assert refused.value.response.status_code == 503
        with api.socket("/api/v1/stream", key="") as opened:
            opened.send('{"type":"auth","token":"stk_any"}')
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    opened.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
        monkeypatch.undo()
