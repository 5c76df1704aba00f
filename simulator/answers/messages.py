"""One HTTP request and its answer, and the shapes that answers come in. Knows no host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import SplitResult, parse_qs, urlsplit

JSON = "application/json;charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain;charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; header names in lower case."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def url(self) -> SplitResult:
        """Raises ValueError if the target is no address."""
        return urlsplit(self.target)

    @cached_property
    def query(self) -> dict[str, str]:
        """Return each parameter's first value: Yahoo reads no other."""
        return _first_values(self.url.query)

    @cached_property
    def form(self) -> dict[str, str]:
        return _first_values(self.body.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`cookies`: whole set-cookie values, for an answer with more than one."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def json_answer(status: int, document: object) -> Response:
    return Response(status=status, body=json.dumps(document, separators=(",", ":")).encode())


def refusal(status: int, code: str, description: str) -> Response:
    """Return the error body of most of Yahoo's endpoints."""
    return json_answer(status, {"finance": {"result": None, "error": {"code": code, "description": description}}})


def redirect(status: int, location: str, *cookies: str) -> Response:
    return Response(status=status, content_type=HTML, headers={"location": location}, cookies=cookies)


def text_answer(text: str, *, content_type: str = TEXT) -> Response:
    return Response(status=200, body=text.encode(), content_type=content_type)


def _first_values(query: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(query, keep_blank_values=True).items()}
