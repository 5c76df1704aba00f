"""HTTP/1.1 as a server speaks it: whole requests in, heads and pieces of bodies out. Decides no answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import replace
from http.client import responses

import h11

from simulator.answers.rest import Response

READ_BYTES = 65_536
BODY_BYTES = 1 << 20
"""A client that sends a longer body is cut off."""
GZIP_BYTES = 1_000
"""Smaller bodies are sent as they are."""
PIECES_PER_S = 10


async def next_request(http: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes] | None:
    """Return the next request and its body when all of it is here, None when the client has gone."""
    request: h11.Request | None = None
    body = bytearray()
    while len(body) <= BODY_BYTES:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None, "its head comes first"
            return request, bytes(body)
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None
    return None


def head(response: Response) -> h11.Response:
    """Return status and headers."""
    headers = [
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        ("server", "ATS"),
        *response.headers.items(),
        *(("set-cookie", cookie) for cookie in response.cookies),
    ]
    return h11.Response(status_code=response.status, headers=headers, reason=responses.get(response.status, ""))


def pieces(body: bytes, bytes_per_s: int) -> Iterator[bytes]:
    """Return the body whole, or with a speed what goes out each tenth of a second."""
    size = max(1, bytes_per_s // PIECES_PER_S) if bytes_per_s else max(1, len(body))
    return (body[start : start + size] for start in range(0, len(body), size))


def packed(response: Response, accepted: str) -> Response:
    """Return the response gzipped, if the client accepts that and it is worth it."""
    if "gzip" not in accepted or len(response.body) < GZIP_BYTES or "content-encoding" in response.headers:
        return response
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return replace(response, body=body, headers={**response.headers, "content-encoding": "gzip"})
