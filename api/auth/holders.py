"""Whom a credential belongs to: an API key, an access token, the secret of a page's cookie. Issues none.

What was found is kept for seconds, so that a request costs no look into the database; what is changed in this process
counts at once, what another one changes (`tickerd user passwd`) within FRESH_S.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine

from api.auth.access import AccessTokens, BadToken
from api.auth.roles import scopes_of
from api.principals import Kind, Principal
from core.clock import Clock
from storage import accounts as rows
from storage.writer import Writer

T = TypeVar("T")

KEY_PREFIX = "stk_"
FRESH_S = 5.0
MOST_KNOWN = 10_000


class Database(Protocol):
    """Where rows are read and written, each in a thread of its own."""

    async def read(self, work: Callable[[Engine], T]) -> T: ...

    async def write(self, work: Callable[[Writer], T]) -> T: ...


def kind_of(credential: str) -> Kind:
    """Return what a credential of a header or a first message is: an API key or an access token."""
    return "key" if credential.startswith(KEY_PREFIX) else "token"


def hash_of(credential: str) -> str:
    """Return what is kept of a credential: 256 random bits need no slow hash."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def principal_of(row: Mapping[str, Any], kind: Kind, credential_id: str) -> Principal:
    """Return the principal of a row that names a user: a key may do what it was made for, if its owner still may."""
    return Principal(
        name=row["name"],
        kind=kind,
        scopes=scopes_of(row["role"], among=row.get("scopes")),
        user_id=row["user_id"],
        role=row["role"],
        must_change=bool(row["must_change_password"]),
        credential_id=credential_id,
    )


def _lasts_s(expires_at: datetime | None, at: datetime) -> float:
    return FRESH_S if expires_at is None else (expires_at - at).total_seconds()


class Holders:
    """Looks credentials up."""

    def __init__(self, database: Database, tokens: AccessTokens, clock: Clock) -> None:
        self._database, self._tokens, self._clock = database, tokens, clock
        self._known: dict[tuple[Kind, str], tuple[float, Principal]] = {}

    def forget(self) -> None:
        """Look everything up anew: something has changed."""
        self._known.clear()

    async def holder(self, credential: str, kind: Kind) -> Principal | None:
        """Return whom a credential belongs to; None if it is unknown or over. RetryLater: the database is away."""
        known, now_s = self._known.get((kind, credential)), self._clock.monotonic_s()
        if known is not None and now_s < known[0]:
            return known[1]
        at = self._clock.utc_now()
        found = await self._find(credential, kind, at)
        if found is None:
            self._known.pop((kind, credential), None)
            return None
        principal, ends_at = found
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[kind, credential] = now_s + min(FRESH_S, _lasts_s(ends_at, at)), principal
        return principal

    async def _find(self, credential: str, kind: Kind, at: datetime) -> tuple[Principal, datetime | None] | None:
        if kind == "key":
            return await self._of_key(hash_of(credential), at)
        if kind == "token":
            return await self._of_token(credential, at)
        secret_hash = hash_of(credential)
        row = await self._database.read(lambda engine: rows.read_sign_in(engine, secret_hash=secret_hash, at=at))
        return (
            None if row is None else (principal_of(row, "session", f"sign_in:{row['sign_in_id']}"), row["expires_at"])
        )

    async def _of_key(self, token_hash: str, at: datetime) -> tuple[Principal, datetime | None] | None:
        row = await self._database.read(lambda engine: rows.read_token(engine, token_hash, at=at))
        return None if row is None else (principal_of(row, "key", f"key:{row['token_id']}"), row["expires_at"])

    async def _of_token(self, token: str, at: datetime) -> tuple[Principal, datetime | None] | None:
        try:
            claims = self._tokens.read(token, at=at)
        except BadToken:
            return None
        row = await self._database.read(lambda engine: rows.read_sign_in(engine, sign_in_id=claims.sign_in_id, at=at))
        if row is None or row["user_id"] != claims.user_id:
            return None
        return principal_of(row, "token", f"sign_in:{row['sign_in_id']}"), claims.expires_at

    async def still_holds(self, principal: Principal) -> bool:
        """Whether an open stream may go on: its key or sign-in is not over and its user not locked out."""
        if principal.user_id is None:
            return principal.kind != "anonymous"
        kind, _, text = principal.credential_id.partition(":")
        number, at = int(text), self._clock.utc_now()
        if kind == "key":
            return await self._database.read(lambda engine: rows.token_holds(engine, number, at=at))
        row = await self._database.read(lambda engine: rows.read_sign_in(engine, sign_in_id=number, at=at))
        return row is not None
