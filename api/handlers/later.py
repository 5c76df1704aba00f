"""Places kept for what comes later: each answers 501 and says so."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api.problems import Problem
from api.route import Route

METHODS = ("GET", "POST", "PATCH", "DELETE")
WATCHLIST = ("/api/v1/watchlist", "/api/v1/watchlist/{symbol}")
PORTFOLIOS = ("/api/v1/portfolios", "/api/v1/portfolios/{portfolio_id}")
NOTIFICATIONS = (
    "/api/v1/notifications",
    "/api/v1/notifications/{notification_id}",
    "/api/v1/notification-channels",
    "/api/v1/notification-channels/{channel_id}",
)
ANALYTICS = tuple(f"/api/v1/analytics/{name}" for name in ("performance", "signals", "patterns"))


async def later(_request: Request) -> Response:
    """Say that this is not there yet."""
    raise Problem(501, "not_there_yet", "watchlists, portfolios, notifications and analytics come in a later version")


def _routes(paths: tuple[str, ...], methods: tuple[str, ...]) -> tuple[Route, ...]:
    return tuple(
        Route(method=method, path=path, handler=later, scope="read", tag="later", hidden=True)
        for path in paths
        for method in methods
    )


ROUTES = (*_routes((*WATCHLIST, *PORTFOLIOS, *NOTIFICATIONS), METHODS), *_routes(ANALYTICS, ("GET",)))
