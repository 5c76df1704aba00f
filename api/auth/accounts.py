"""Users: who signs in and out, who is added, changed and removed, which keys they hold. Answers no request."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from api.auth import attempts
from api.auth.access import LIFE, AccessTokens
from api.auth.holders import KEY_PREFIX, Database, Holders, hash_of, principal_of
from api.auth.passwords import check_password, hash_password, is_right
from api.auth.roles import role_named
from api.principals import Kind, Principal
from core.clock import Clock
from core.errors import RetryLater, TickerdError
from core.logs import get_logger
from storage import accounts as rows
from storage import audit

log = get_logger(__name__)
T = TypeVar("T")

SIGNED_IN_FOR = timedelta(days=30)
NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}\Z")
EMAIL = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00]{1,190}\Z")
HASHED_AT_ONCE = 2
WAITING = 16
"""Sign-ins that wait for their hash; more of them try later."""


class WrongPassword(TickerdError):
    """No such user, or not its password: which of both is not told."""


class TooManyAttempts(RetryLater):
    """Too many wrong passwords; `wait_s`: until the next try."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__("too many wrong passwords", right=f"wait {wait_s:.0f} s")


class BadName(TickerdError):
    """A name, address or role that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """Where a request comes from."""

    address: str
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """`session`: what the page's cookie holds; `access` and `refresh`: what a program gets instead."""

    principal: Principal
    expires_at: datetime
    session: str = ""
    access: str = ""
    refresh: str = ""


class Accounts:
    """All that the API knows of its users."""

    def __init__(self, database: Database, tokens: AccessTokens, clock: Clock) -> None:
        self._database, self.tokens, self._clock = database, tokens, clock
        self.holders = Holders(database, tokens, clock)
        self._hashing = ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        self._hashing.shutdown(wait=False, cancel_futures=True)

    # Signing in and out

    async def sign_in(self, name: str, password: str, *, kind: Kind, origin: From) -> SignedIn:
        """Sign a user in by name or e-mail address; WrongPassword, TooManyAttempts. `kind`: "session" or "token"."""
        name = name.strip().casefold()[:200].replace("\x00", "")
        turn = self._turns.setdefault(origin.address, asyncio.Lock())
        async with turn:  # so that tries at once are counted like tries one after the other
            await self._require_patience(name, origin)
            user = await self._database.read(lambda engine: rows.read_user(engine, name=name))
            usable = user is not None and user["is_active"]
            if not await self._hashed(is_right, password, user["password_hash"] if user and usable else None):
                await self.note(name or "-", audit.FAILED, origin.address)
                log.warning("sign_in_failed", address=origin.address)
                raise WrongPassword("is not the password of such a user", key="password", right="try again")
        assert user is not None
        signed = await self._begin(user, kind, origin)
        await self.note(user["name"], "signed_in", origin.address, {"kind": kind})
        return signed

    async def _require_patience(self, name: str, origin: From) -> None:
        at = self._clock.utc_now()
        since = at - attempts.WINDOW
        failed = await self._database.read(lambda engine: audit.failures(engine, address=origin.address, since=since))
        if (wait_s := attempts.wait_s(failed, name, at=at)) > 0:
            raise TooManyAttempts(wait_s)

    async def _begin(self, user: Mapping[str, Any], kind: Kind, origin: From) -> SignedIn:
        at = self._clock.utc_now()
        secret, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        is_page = kind == "session"
        new = rows.NewSignIn(
            user_id=user["id"],
            kind=kind,
            expires_at=at + SIGNED_IN_FOR,
            address=origin.address,
            agent=origin.agent[:200].replace("\x00", ""),
            secret_hash=hash_of(secret) if is_page else None,
            refresh_hash=None if is_page else hash_of(refresh),
        )
        sign_in_id = await self._database.write(lambda writer: rows.begin_sign_in(writer, new, at=at))
        principal = principal_of({**user, "user_id": user["id"]}, kind, f"sign_in:{sign_in_id}")
        if is_page:
            return SignedIn(principal=principal, expires_at=at + SIGNED_IN_FOR, session=secret)
        access = self.tokens.issue(user_id=user["id"], sign_in_id=sign_in_id, at=at)
        return SignedIn(principal=principal, expires_at=at + LIFE, access=access, refresh=refresh)

    async def refresh(self, token: str, *, origin: From) -> SignedIn:
        """Use a refresh token: return an access token and the next refresh token. NoSuchToken, TokenReused."""
        at, following = self._clock.utc_now(), secrets.token_urlsafe(32)
        try:
            row = await self._database.write(
                lambda writer: rows.rotate(writer, hash_of(token), hash_of(following), at=at)
            )
        except rows.TokenReused:
            self.holders.forget()
            await self.note("-", "refresh_token_reused", origin.address)
            log.warning("refresh_token_reused", address=origin.address)
            raise
        principal = principal_of(row, "token", f"sign_in:{row['sign_in_id']}")
        access = self.tokens.issue(user_id=row["user_id"], sign_in_id=row["sign_in_id"], at=at)
        return SignedIn(principal=principal, expires_at=at + LIFE, access=access, refresh=following)

    async def sign_out(self, principal: Principal) -> None:
        """End the sign-in that a principal came with; a key stays."""
        kind, _, number = principal.credential_id.partition(":")
        if kind == "sign_in":
            at = self._clock.utc_now()
            await self._database.write(lambda writer: rows.end_sign_in(writer, int(number), at=at))
            self.holders.forget()

    async def change_password(self, principal: Principal, old: str, new: str, *, origin: From) -> None:
        """Give the user a new password and sign it out everywhere; WrongPassword, WeakPassword."""
        user_id = principal.user_id
        assert user_id is not None
        async with self._turns.setdefault(origin.address, asyncio.Lock()):
            await self._require_patience(principal.name, origin)
            user = await self._database.read(lambda engine: rows.read_user(engine, user_id=user_id))
            if not await self._hashed(is_right, old, user and user["password_hash"]):
                await self.note(principal.name, audit.FAILED, origin.address)
                raise WrongPassword("is not the password so far", key="old", right="try again")
        check_password(new, name=principal.name)
        if new == old:
            raise BadName("is the password so far", key="new", right="give another one")
        password_hash = await self._hashed(hash_password, new)
        await self.change_user(user_id, {"password_hash": password_hash, "must_change_password": False})
        await self.note(principal.name, "password_changed", origin.address)

    async def _hashed(self, work: Callable[..., T], *arguments: Any) -> T:
        if self._waiting >= WAITING:
            raise RetryLater("too many sign in at once", right="try again in some seconds")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, work, *arguments)
        finally:
            self._waiting -= 1

    # Users and keys

    async def add_user(
        self, name: str, password: str, role: str, *, email: str | None = None, must_change: bool = True
    ) -> int:
        """Add a user and return its id; BadName, WeakPassword, NameTaken."""
        name = checked_name(name)
        check_password(password, name=name)
        new = rows.NewUser(
            name=name,
            password_hash=await self._hashed(hash_password, password),
            role=checked_role(role),
            email=checked_email(email),
            must_change_password=must_change,
        )
        at = self._clock.utc_now()
        return await self._database.write(lambda writer: rows.add_user(writer, new, at=at))

    async def add_first_admin(self, name: str, password: str, *, tell: Callable[[], None]) -> bool:
        """Add an admin with a password for one time if there is no user at all; False if there is.

        `tell` says the password where somebody finds it, in the writing thread; if that fails nobody is added.
        """
        password_hash = await self._hashed(hash_password, password)
        new = rows.NewUser(name=name, password_hash=password_hash, role="admin", must_change_password=True)
        at = self._clock.utc_now()
        return await self._database.write(lambda writer: rows.add_first_user(writer, new, tell=tell, at=at))

    async def set_password(self, user_id: int, name: str, password: str) -> bool:
        """Give a user a password for one time; WeakPassword."""
        check_password(password, name=name)
        password_hash = await self._hashed(hash_password, password)
        return await self.change_user(user_id, {"password_hash": password_hash, "must_change_password": True})

    async def change_user(self, user_id: int, values: Mapping[str, Any]) -> bool:
        """Set columns of a user; False if there is none; LastAdmin."""
        at = self._clock.utc_now()
        changed = await self._database.write(lambda writer: rows.change_user(writer, user_id, values, at=at))
        self.holders.forget()
        return changed

    async def remove_user(self, user_id: int) -> bool:
        """Remove a user with all its credentials; False if there is none; LastAdmin."""
        at = self._clock.utc_now()
        removed = await self._database.write(lambda writer: rows.remove_user(writer, user_id, at=at))
        self.holders.forget()
        return removed

    async def users(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        return await self._database.read(lambda engine: rows.read_users(engine, after=after, limit=limit))

    async def user(self, user_id: int) -> dict[str, Any] | None:
        """Return a user without what its password is checked by."""
        found = await self._database.read(lambda engine: rows.read_user(engine, user_id=user_id))
        return found and {key: value for key, value in found.items() if key != "password_hash"}

    async def add_key(
        self, principal: Principal, name: str, scopes: Sequence[str], *, expires_at: datetime | None
    ) -> tuple[int, str]:
        """Make an API key that may do at most what its owner may; return its id and, this once, the key."""
        assert principal.user_id is not None
        if beyond := set(scopes) - principal.scopes:
            raise BadName(f"asks for {', '.join(sorted(beyond))}", key="scopes", right="ask for what you may yourself")
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        at = self._clock.utc_now()
        new = rows.NewToken(
            user_id=principal.user_id, name=name, token_hash=hash_of(key), scopes=sorted(scopes), expires_at=expires_at
        )
        return await self._database.write(lambda writer: rows.add_token(writer, new, at=at)), key

    async def keys(self, user_id: int) -> list[dict[str, Any]]:
        return await self._database.read(lambda engine: rows.read_tokens(engine, user_id))

    async def revoke_key(self, user_id: int, key_id: int) -> bool:
        at = self._clock.utc_now()
        revoked = await self._database.write(lambda writer: rows.revoke_token(writer, user_id, key_id, at=at))
        self.holders.forget()
        return revoked

    # The record

    async def note(self, actor: str, action: str, address: str, detail: Mapping[str, Any] | None = None) -> None:
        """Note in the audit log who did what."""
        at = self._clock.utc_now()
        await self._database.write(
            lambda writer: audit.note(writer, actor=actor, action=action, address=address, detail=detail, at=at)
        )

    async def noted(self, *, limit: int, before: int | None) -> list[dict[str, Any]]:
        return await self._database.read(lambda engine: audit.read(engine, limit=limit, before=before))


def checked_name(name: str) -> str:
    """Return a user's name as it is kept; BadName."""
    name = name.strip().casefold()
    if not NAME.match(name):
        raise BadName("cannot be a name", key="name", right="give 1 to 64 of a-z, 0-9, dot, underscore, plus, minus")
    return name


def checked_email(email: str | None) -> str | None:
    """Return an e-mail address as it is kept; BadName."""
    if not email:
        return None
    email = email.strip().casefold()
    if not EMAIL.match(email):
        raise BadName("is no e-mail address", key="email", right="give one like name@example.org")
    return email


def checked_role(role: str) -> str:
    """Return a role's own name; BadName."""
    if (found := role_named(role)) is None:
        raise BadName(f"is no role: {role[:40]!r}", key="role", right="give viewer, analyst, operator or admin")
    return found
