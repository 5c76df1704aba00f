"""Tickets for streams: a browser's EventSource can send no header, and a token has no place in an address."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from api.principals import Principal

LIFE_S = 30.0
MOST = 10_000


class Tickets:
    """Each lets one principal in once, within LIFE_S; kept by this process alone."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def issue(self, principal: Principal, *, now_s: float) -> str:
        """Return a new ticket; the oldest of too many go."""
        self._let_go(now_s)
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = (now_s + LIFE_S, principal)
        return ticket

    def use(self, ticket: str, *, now_s: float) -> Principal | None:
        """Return whom a ticket lets in, and take it; None if it was used, is over or never was."""
        ends_s, principal = self._open.pop(ticket, (0.0, None))
        return principal if now_s < ends_s else None

    def _let_go(self, now_s: float) -> None:
        while self._open:
            ticket, (ends_s, _) = next(iter(self._open.items()))
            if ends_s > now_s and len(self._open) < MOST:
                return
            del self._open[ticket]
