"""The OpenAPI document, from the routes themselves. Describes nothing that is not there."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE as PROBLEM
from api.route import SCOPE_KEY

ABOUT = (
    "One table of the whole US stock market, kept fresh, and scans over it. Times are UTC: `2026-11-23T14:30:00.000Z`. "
    "Errors are `application/problem+json`. Lists come in pages: give `next` as `cursor`. Paths marked deprecated are "
    "older names of the same."
)
SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of /api/v1/auth/login, or an API key.",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "tickerd_session", "description": "The page's own."},
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the document; made once."""
    if app.openapi_schema is None:
        document = get_openapi(title="tickerd", version=version("tickerd"), description=ABOUT, routes=app.routes)
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path in document["paths"].values():
            for operation in path.values():
                _secure(operation)
                _name_problems(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _secure(operation: dict[str, Any]) -> None:
    """Name who may call it."""
    if operation.get(SCOPE_KEY) == "public":
        operation["security"] = []
        return
    operation["security"] = [{"bearer": []}, {"session": []}]
    operation["description"] = f"{operation.get('description', '')}\n\nScope: `{operation[SCOPE_KEY]}`.".strip()


def _name_problems(operation: dict[str, Any]) -> None:
    """A problem has its own media type and no other."""
    for response in operation["responses"].values():
        content = response.get("content", {})
        if PROBLEM in content:
            response["content"] = {PROBLEM: content["application/json"]}
