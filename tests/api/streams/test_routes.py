from __future__ import annotations

from api.streams.routes import ROUTES


def test_every_stream_needs_the_scope_to_read_but_the_one_that_asks_first() -> None:
    public = [(route.method, route.path) for route in ROUTES if route.scope == "public"]
    assert public == [("WS", "/api/v1/stream")]
    assert {route.scope for route in ROUTES} == {"public", "read"}


def test_the_older_paths_are_there() -> None:
    paths = {(route.method, route.path) for route in ROUTES}
    assert paths >= {
        ("WS", "/ws/scan/{scan_id}"),
        ("WS", "/scan/ws/{scan_id}"),
        ("WS", "/ws/results/{scan_id}"),
        ("WS", "/ws/signals"),
        ("WS", "/ws/market-data"),
        ("WS", "/ws/scanner-status"),
        ("GET", "/scan/stream/{scan_id}"),
    }
