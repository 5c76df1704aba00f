"""Serves files that the package carries: pages, scripts, styles. Knows no path of a caller: each file has its route."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from api.etags import tagged

MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def carried(request: Request, file: Path) -> Response:
    """Return the file, packed if it is kept so and the browser takes that."""
    content, packed = _content(file)
    if packed and "gzip" not in request.headers.get("accept-encoding", ""):
        content, packed = gzip.decompress(content), False
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return tagged(request, Response(content, headers=headers, media_type=MEDIA[file.suffix]))


@cache
def _content(file: Path) -> tuple[bytes, bool]:
    """Return a file's bytes, and whether they are packed."""
    packed = file.with_name(f"{file.name}.gz")
    return (packed.read_bytes(), True) if packed.exists() else (file.read_bytes(), False)
