"""The one table of all routes. Every path that answers is in it; a contract test walks it."""

from __future__ import annotations

from api.auth import people
from api.auth import routes as sign_in
from api.handlers import dashboard, docs, health, later, market, metrics, quotes, scanners, scans, signals, system
from api.route import Route
from api.streams import routes as streams

ROUTES: tuple[Route, ...] = (
    *quotes.ROUTES,  # asked most often, so found first
    *health.ROUTES,
    *metrics.ROUTES,
    *scans.ROUTES,
    *market.ROUTES,
    *signals.ROUTES,
    *scanners.ROUTES,
    *system.ROUTES,
    *sign_in.ROUTES,
    *people.ROUTES,
    *streams.ROUTES,
    *docs.ROUTES,
    *dashboard.ROUTES,
    *later.ROUTES,
)
