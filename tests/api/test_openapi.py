from __future__ import annotations

from fastapi import FastAPI

from api.openapi import openapi
from api.principals import SCOPES
from api.route import WEBSOCKET, mount
from api.routes import ROUTES


def document() -> dict[str, object]:
    app = FastAPI(openapi_url=None)
    for route in ROUTES:
        mount(app, route)
    return openapi(app)


def test_every_path_that_is_not_a_page_or_yet_to_come_is_described_with_its_scope() -> None:
    paths = document()["paths"]
    assert isinstance(paths, dict)
    shown = {
        (route.method.lower(), path)
        for route in ROUTES
        if route.method != WEBSOCKET and not route.hidden
        for path in route.paths
    }
    assert {(method, path) for path, methods in paths.items() for method in methods} == shown
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert {operation["x-scope"] for operation in operations} <= SCOPES | {"public"}
    for operation in operations:
        assert (operation["security"] == []) is (operation["x-scope"] == "public")
        assert operation["summary"], operation["operationId"]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


def test_it_is_made_once() -> None:
    app = FastAPI(openapi_url=None)
    assert openapi(app) is openapi(app)


def test_a_problem_has_its_own_media_type_and_a_page_its_forms() -> None:
    paths = document()["paths"]
    assert isinstance(paths, dict)
    responses = paths["/api/v1/signals"]["get"]["responses"]
    assert set(responses["422"]["content"]) == {"application/problem+json"}
    assert set(responses["200"]["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    assert set(paths["/api/v1/scans"]["post"]["responses"]) >= {"200", "202", "400", "413", "429"}
