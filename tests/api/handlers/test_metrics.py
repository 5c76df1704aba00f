from __future__ import annotations

from tests.fix_api import RunningApi


def test_it_is_text_that_nobody_keeps(api: RunningApi) -> None:
    answer = api.ask("GET", "/metrics")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\nstocks_control_up 0\n" in answer.body
    assert api.ask("HEAD", "/metrics").body == b""
