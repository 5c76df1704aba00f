"""Who asks, and what a route demands of them. Checks no credential: who found the principal did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import HTTPConnection

from api.problems import Problem

Kind = Literal["anonymous", "local", "session", "token", "key", "ticket"]
ScopeName = Literal["public", "read", "metrics", "scan", "control", "admin"]
SCOPES: frozenset[str] = frozenset(("read", "metrics", "scan", "control", "admin"))
PUBLIC: ScopeName = "public"
"""What anybody may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """`user_id`: None for who has no account; `must_change`: signed in with a password for one time.

    `credential_id`: of the key, token or session it came with.
    """

    name: str
    kind: Kind
    scopes: frozenset[str]
    user_id: int | None = None
    role: str = ""
    must_change: bool = False
    credential_id: str = ""


ANONYMOUS = Principal(name="anonymous", kind="anonymous", scopes=frozenset())
LOCAL = Principal(name="local", kind="local", scopes=SCOPES, role="admin")
"""Whoever asks while `[api] auth` is off, which is allowed on loopback alone."""


def principal_of(connection: HTTPConnection) -> Principal:
    """Return who asks; the middleware that looked at the credentials put it there."""
    state: dict[str, Any] = connection.scope.get("state", {})
    found: Principal = state.get("principal", ANONYMOUS)
    return found


def require(connection: HTTPConnection, scope: str) -> Principal:
    """Return who asks; Problem 401 for nobody, 403 for somebody who may not."""
    return allowed(principal_of(connection), scope)


def allowed(principal: Principal, scope: str) -> Principal:
    """Return the principal if it may what `scope` stands for; Problem 401 or 403."""
    if scope == PUBLIC or (scope in principal.scopes and not principal.must_change):
        return principal
    if principal.kind == "anonymous":
        detail = "sign in, or send `Authorization: Bearer` with a token or an API key"
        raise Problem(401, "not_signed_in", detail, headers={"WWW-Authenticate": "Bearer"})
    if principal.must_change:
        raise Problem(403, "password_change_required", "choose a password of your own first")
    raise Problem(403, "scope_missing", f"this needs the scope {scope}", extra={"scope": scope})
