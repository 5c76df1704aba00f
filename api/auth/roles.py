"""What each role may do. Knows no user."""

from __future__ import annotations

from collections.abc import Iterable

from api.principals import SCOPES

ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset(("read",)),
    "analyst": frozenset(("read", "metrics", "scan")),
    "operator": frozenset(("read", "metrics", "scan", "control")),
    "admin": SCOPES,
}
ALIASES = {"user": "analyst"}
"""Words that other programs use."""


def role_named(name: str) -> str | None:
    """Return the role of this name; None if there is none."""
    found = ALIASES.get(name, name)
    return found if found in ROLES else None


def scopes_of(role: str, *, among: Iterable[str] | None = None) -> frozenset[str]:
    """Return what a role may do; `among`: only these, for a key that may do less than its owner."""
    scopes = ROLES.get(role, frozenset())
    return scopes if among is None else scopes & frozenset(among)
