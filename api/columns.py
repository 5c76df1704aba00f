"""A page as JSON, CSV, NDJSON or one array a column. Reads nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from api.answers import JSON, encode
from api.sql import Page
from core.clock import utc_text

CURSOR_HEADER = "X-Next-Cursor"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would compute what begins with these (OWASP: CSV injection)."""
MEDIA = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


def page_answer(page: Page, form: str, extra: Mapping[str, Any] | None = None) -> Response:
    """Return a page in the form asked for; in CSV and NDJSON the cursor of the next one is a header."""
    if form == "json":
        return Response(encode({"data": page.dicts(), "next": page.next, **(extra or {})}), media_type=JSON)
    if form == "columnar":
        values = [list(column) for column in zip(*page.rows, strict=True)] or [[] for _ in page.names]
        columns = dict(zip(page.names, values, strict=True))
        return Response(encode({"columns": columns, "next": page.next, **(extra or {})}), media_type=JSON)
    body = csv_bytes(page) if form == "csv" else ndjson_bytes(page)
    headers = {CURSOR_HEADER: page.next} if page.next else {}
    return Response(body, headers=headers, media_type=MEDIA[form])


def ndjson_bytes(page: Page) -> bytes:
    return b"".join(encode(row) + b"\n" for row in page.dicts())


def csv_bytes(page: Page) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(page.names)
    writer.writerows([_cell(value) for value in row] for row in page.rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return encode(value).decode() if isinstance(value, list | dict) else value
