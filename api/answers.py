"""How values become JSON: times as 2026-11-23T14:30:00.000Z, dates as 2026-11-23, no NaN. Answers no request."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson
from starlette.responses import Response

from core.clock import utc_text

OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
JSON = "application/json"


def encode(value: Any) -> bytes:
    """Return JSON; what is not a number becomes null."""
    return orjson.dumps(value, default=_text, option=OPTIONS)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(encode(value), status, headers, JSON)
