"""The API on PostgreSQL: signing in, what is done once, pages, streams; on SQLite each has its tests elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosedOK

from core.clock import SystemClock
from core.settings import Database
from market.universe import Listing
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_api import PASSWORD, PATIENCE_S, TICKERS, RunningApi, ScanRun, served, settings_of, with_own_password

LOGIN, REFRESH, USERS, SCANS = "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/users", "/api/v1/scans"


@pytest.fixture
def api(postgresql_url: str, tmp_path: Path) -> Iterator[RunningApi]:
    with Writer.open(postgresql_url, service="test", origin=None, clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in TICKERS])
    with served(replace(settings_of(tmp_path), database=Database(url=postgresql_url)), tmp_path) as found:
        found.until(found.context.book.filled.is_set)
        yield with_own_password(found)


def test_who_signs_in_is_known_until_a_token_is_used_twice(api: RunningApi) -> None:
    wrong = api.ask("POST", LOGIN, {"user": "admin", "password": "a wrong one"}, key="")
    first = api.ask("POST", LOGIN, {"user": "admin", "password": PASSWORD}, key="").json
    second = api.ask("POST", REFRESH, {"refresh_token": first["refresh_token"]}, key="").json
    assert (wrong.status, api.ask("GET", "/api/v1/auth/me", key=second["access_token"]).json["user"]) == (401, "admin")
    assert api.ask("POST", REFRESH, {"refresh_token": first["refresh_token"]}, key="").status == 401
    assert api.ask("GET", "/api/v1/auth/me", key=second["access_token"]).status == 401
    actions = [row["action"] for row in api.ask("GET", "/api/v1/audit").json["data"]]
    assert {"sign_in_failed", "signed_in", "refresh_token_reused"} <= set(actions)
    assert api.ask("POST", USERS, {"name": "ADMIN", "role": "viewer"}).status == 409
    assert api.ask("DELETE", f"{USERS}/1").status == 409, "the last admin"


def test_the_same_request_twice_is_done_once_and_pages_follow_each_other(api: RunningApi) -> None:
    for key in ("a", "b", "c"):
        given = {"Idempotency-Key": key}
        first, again = (api.ask("POST", SCANS, {"expression": "close > 1"}, headers=given) for _ in range(2))
        assert (first.status, first.body) == (202, again.body)
    other = api.ask("POST", SCANS, {"expression": "close > 2"}, headers={"Idempotency-Key": "a"})
    assert other.json["code"] == "idempotency_key_reused"
    for path, key, rows in ((SCANS, "id", 3), ("/api/v1/quotes", "ticker", len(TICKERS))):
        seen, cursor = [], ""
        while cursor is not None:
            page = api.ask("GET", f"{path}?limit=2&cursor={cursor}").json
            seen += [row[key] for row in page["data"]]
            cursor = page["next"]
        assert len(seen) == len(set(seen)) == rows
    quotes = api.ask("GET", "/api/v1/quotes?sort=-ticker&limit=1000").json["data"]
    assert all(one["ticker"] > next_["ticker"] for one, next_ in pairwise(quotes))


def test_a_scan_is_told_and_goes_on_from_any_number(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_pg").begin()
    scan.find(1, 2, percent=30.0)
    path = f"/ws/results/{scan.scan_id}"
    with api.socket(path) as socket:
        assert [json.loads(socket.recv(timeout=PATIENCE_S))["data"]["seq"] for _ in range(2)] == [1, 2]
    scan.find(3, percent=60.0)
    scan.end()
    with api.socket(f"{path}?from_seq=2") as socket, pytest.raises(ConnectionClosedOK):
        told = [json.loads(socket.recv(timeout=PATIENCE_S)) for _ in range(2)]
        assert (told[0]["data"]["symbol"], told[1]["type"]) == ("T3", "complete")
        socket.recv(timeout=PATIENCE_S)
    lines = api.ask("GET", f"/api/v1/stream?channels=scan&scan_id={scan.scan_id}&from_seq=1").body
    assert lines.count(b"id: ") == 2 and b'"type":"complete"' in lines
