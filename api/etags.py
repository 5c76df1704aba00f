"""Answers a client that has the newest already with 304. Keeps no answer."""

from __future__ import annotations

from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

CACHE = "private, no-cache"
"""Keep it, but ask each time: a quote is old in a second."""


def tag_of(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=9).hexdigest()}"'


def matches(request: Request, tag: str) -> bool:
    """Whether the client's If-None-Match names `tag` (RFC 9110, 13.1.2)."""
    given = request.headers.get("if-none-match")
    if not given:
        return False
    return given.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": CACHE})


def tagged(request: Request, response: Response) -> Response:
    """Return the response with a tag of its body, or 304 if the client has that one."""
    tag = tag_of(bytes(response.body))
    if matches(request, tag):
        return not_modified(tag)
    response.headers["ETag"], response.headers["Cache-Control"] = tag, CACHE
    return response
