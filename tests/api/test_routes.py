"""The contract of every path: one table, each row with its scope, each alias the same handler."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from api.handlers.scans import FORMS
from api.principals import SCOPES
from api.route import WEBSOCKET, Route
from api.routes import ROUTES
from tests.fix_api import RunningApi

SEEDS = """
POST /api/scan/execute              /api/v1/scans
GET /api/scan/progress/{scan_id}    /api/v1/scans/{scan_id}/progress
GET /api/scan/results/{scan_id}     /api/v1/scans/{scan_id}/results
GET /api/scan/list                  /api/v1/scans
GET /api/scan/universe              /api/v1/universe
GET /api/scan/performance           /api/v1/system/performance
GET /api/health                     /api/v1/health
GET /api/scan/stats/errors          /api/v1/system/errors
DELETE /api/scan/stats/errors       /api/v1/system/errors
POST /api/v1/scanner/start          /api/v1/scanner/start
POST /api/v1/scanner/stop           /api/v1/scanner/stop
GET /api/v1/scanner/status          /api/v1/scanner/status
PUT /api/v1/scanner/config          /api/v1/scanner/config
GET /api/v1/signals                 /api/v1/signals
GET /api/v1/signals/{signal_id}     /api/v1/signals/{signal_id}
PATCH /api/v1/signals/{signal_id}/status    /api/v1/signals/{signal_id}/status
GET /api/docs                       /api/docs
POST /scan/start                    /api/v1/scans
GET /scan/progress/{scan_id}        /api/v1/scans/{scan_id}/progress
GET /scan/results/{scan_id}         /api/v1/scans/{scan_id}/results
GET /health                         /api/v1/health
GET /scan/stats/{scan_id}           /api/v1/scans/{scan_id}/stats
POST /scan                          /api/v1/scans
GET /api/v1/watchlist               /api/v1/watchlist
POST /api/v1/watchlist              /api/v1/watchlist
DELETE /api/v1/watchlist            /api/v1/watchlist
GET /api/v1/analytics/performance   /api/v1/analytics/performance
GET /api/v1/analytics/signals       /api/v1/analytics/signals
GET /api/v1/analytics/patterns      /api/v1/analytics/patterns
WS /ws/scan/{scan_id}               -
WS /ws/signals                      -
WS /ws/market-data                  -
WS /ws/scanner-status               -
WS /scan/ws/{scan_id}               -
GET /scan/stream/{scan_id}          -
WS /ws/results/{scan_id}            -
"""
"""What clients of every age ask, and the path that is now its canonical one."""

PUBLIC = {
    "/livez",
    "/readyz",
    "/api/v1/health",  # tells those who may not read nothing but whether it is well
    "/api/docs",  # files of the wheel, nobody's data
    "/api/docs/docs.js",
    "/api/docs/swagger-ui-bundle.js",
    "/api/docs/swagger-ui.css",
}


def row_of(method: str, path: str) -> Route:
    (row,) = [route for route in ROUTES if route.method == method and path in route.paths]
    return row


@pytest.mark.parametrize("line", SEEDS.strip().splitlines())
def test_every_older_path_is_live(line: str) -> None:
    method, path, canonical = line.split()
    row = row_of(method, path)
    assert canonical in ("-", row.path)


def test_no_two_rows_answer_one_path() -> None:
    asked = Counter((route.method, path) for route in ROUTES for path in route.paths)
    assert [each for each, times in asked.items() if times > 1] == []


def test_every_row_has_a_scope_and_what_is_public_is_on_the_list() -> None:
    assert {route.scope for route in ROUTES} <= SCOPES | {"public"}
    found = {route.path for route in ROUTES if route.scope == "public" and route.method != WEBSOCKET}
    signing_in = {path for path in found if path.startswith("/api/v1/auth/")}
    pages = {path for path in found if path == "/" or path.startswith("/dashboard/")}  # files of the wheel, too
    assert found - signing_in - pages == PUBLIC


def test_what_changes_something_needs_more_than_reading() -> None:
    changing = [route for route in ROUTES if route.method in ("POST", "PUT", "PATCH", "DELETE")]
    own = "/api/v1/auth/"  # of the account that asks
    kept = [route for route in changing if route.tag != "later" and not route.path.startswith(own)]
    assert {route.scope for route in kept} <= {"scan", "control", "admin"}


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: "prices" if name[1] == "name" else "1", path)


ASKED = [(route, path) for route in ROUTES if route.method != WEBSOCKET for path in route.paths]


def test_nobody_gets_anything_but_what_is_public(api: RunningApi) -> None:
    open_to_all = [
        (route.method, path)
        for route, path in ASKED
        if route.scope != "public" and api.ask(route.method, filled(path), b"{}", key="").status != 401
    ]
    assert open_to_all == []


def test_a_key_without_the_scope_gets_403_before_anything_is_looked_at(api: RunningApi) -> None:
    let_in = []
    for route, path in ASKED:
        others = sorted(SCOPES - {route.scope})
        if route.scope != "public":
            answer = api.ask(route.method, filled(path), b"not even JSON", key=api.key(*others))
            if (answer.status, answer.json["code"]) != (403, "scope_missing"):
                let_in.append((route.method, path, answer.status))
    assert let_in == []


def test_no_path_answers_with_a_fault_of_ours(api: RunningApi) -> None:
    """Without an orchestrator: what needs one says 503, what is to come 501, the rest is served."""
    found = {}
    for route, path in ASKED:
        if not any(each in path for each in ("stream", "/auth/", "/users")):
            answer = api.ask(route.method, filled(path), {"async_mode": True} if path in FORMS else {})
            found[route.method, path] = answer.status
            assert answer.status != 503 or answer.json["code"] == "control_unreachable", path
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/problem+json", path
                assert set(answer.json) >= {"type", "title", "status", "detail", "code", "request_id"}, path
    faults = {asked: status for asked, status in found.items() if status >= 500}
    away = {asked for asked, status in faults.items() if status == 503}
    assert away == {
        *(("GET", path) for path in ("/api/v1/scanners", "/api/v1/scanners/{name}", "/api/v1/scanner/status")),
        *(("POST", f"/api/v1/scanner/{action}") for action in ("start", "stop", "restart")),
        *(("POST", f"/api/v1/scanners/{{name}}/{action}") for action in ("start", "stop", "restart")),
        ("GET", "/api/v1/alerts"),
    }
    assert [asked for asked, status in faults.items() if status == 500] == []
    assert set(faults.values()) == {501, 503}


def test_what_is_no_path_and_what_is_no_method_are_problems(api: RunningApi) -> None:
    for method, path, status in (("GET", "/none", 404), ("DELETE", "/api/v1/quotes", 405), ("PUT", "/livez", 405)):
        answer = api.ask(method, path)
        assert (answer.status, answer.json["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/api/v1/quotes/..%2f..%2fetc%2fpasswd", "/api/docs/..%2fdocs.py", "/%2e%2e/api", "//livez", "/livez/"]
)
def test_no_trick_with_a_path_leads_anywhere(api: RunningApi, path: str) -> None:
    assert api.ask("GET", path).status in (404, 422)
