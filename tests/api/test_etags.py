from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.etags import matches, tag_of, tagged


def asking(tag: str = "") -> Request:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    return Request({"type": "http", "method": "GET", "headers": headers})


@pytest.mark.parametrize(
    ("given", "same"),
    [("", False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False)],
)
def test_a_tag_matches_as_rfc_9110_says(given: str, same: bool) -> None:
    assert matches(asking(given), '"a"') is same


def test_an_answer_has_its_tag_and_who_has_it_already_gets_304() -> None:
    first = tagged(asking(), Response(b"rows"))
    assert (first.status_code, first.headers["etag"], first.headers["cache-control"]) == (
        200,
        tag_of(b"rows"),
        "private, no-cache",
    )
    again = tagged(asking(first.headers["etag"]), Response(b"rows"))
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert tagged(asking(first.headers["etag"]), Response(b"other rows")).status_code == 200
