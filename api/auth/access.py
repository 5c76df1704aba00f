"""Access tokens: short-lived signed JSON (JWT, HS256 and nothing else). Reads no database: who is signed in is told."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from core.errors import TickerdError

LIFE = timedelta(minutes=15)
LEEWAY = timedelta(seconds=10)
"""A clock that is put right by a few seconds signs nobody out."""
ALGORITHM = "HS256"
ISSUER = "tickerd"


class BadToken(TickerdError):
    """A token that is not ours, was changed, or is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says; who the user is now and what it may is in the database."""

    user_id: int
    sign_in_id: int
    expires_at: datetime


class AccessTokens:
    """Signs and reads the tokens of one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, *, user_id: int, sign_in_id: int, at: datetime) -> str:
        """Return a token that holds for LIFE."""
        claims = {"iss": ISSUER, "sub": str(user_id), "sid": sign_in_id, "iat": at, "exp": at + LIFE}
        return jwt.encode(claims, self._secret, ALGORITHM)

    def read(self, token: str, *, at: datetime) -> Claims:
        """Return what a token says; BadToken."""
        # The library would ask the machine's clock; a token from before that was put back is as good as any.
        options = {"require": ["exp", "sub", "sid", "iss"], "verify_exp": False, "verify_iat": False}
        try:
            said = jwt.decode(token, self._secret, [ALGORITHM], options=options, issuer=ISSUER)  # type: ignore[arg-type]
            user_id, sign_in_id, end_s = int(said["sub"]), int(said["sid"]), float(said["exp"])
            expires_at = datetime.fromtimestamp(end_s, at.tzinfo)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError) as error:
            raise BadToken("is no token of this server", right="sign in") from error
        if at >= expires_at + LEEWAY:
            raise BadToken("is over", right="use the refresh token, or sign in")
        return Claims(user_id=user_id, sign_in_id=sign_in_id, expires_at=expires_at)

    def csrf_of(self, session_secret: str) -> str:
        """Return what a page must say with each change, which another site cannot know."""
        return hmac.new(self._secret, b"csrf:" + session_secret.encode(), hashlib.sha256).hexdigest()
