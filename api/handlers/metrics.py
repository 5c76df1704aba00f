"""What Prometheus reads. Measures nothing itself."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api.context import context_of
from api.metrics import CONTENT_TYPE
from api.route import Route


async def metrics(request: Request) -> Response:
    """Give every metric in Prometheus' text format, also while the orchestrator or the database is away."""
    text = await context_of(request).look.text()
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


ROUTES = (Route(method="GET", path="/metrics", handler=metrics, scope="metrics", tag="health", media=("text/plain",)),)
