"""Passwords: which are good enough, their argon2id hashes, new ones for one time. Keeps none."""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import TickerdError

SHORTEST, LONGEST = 10, 256
"""NIST SP 800-63B asks for 8 and for no rules of composition; longer ones than 256 only cost time to hash."""
KNOWN = frozenset(
    (
        "password",
        "passwort",
        "passw0rd",
        "adminadmin",
        "administrator",
        "changeme",
        "letmein",
        "qwerty",
        "qwertyuiop",
        "welcome",
        "tickerd",
        "trustno1",
        "iloveyou",
        "1234567890",
        "0123456789",
        "1q2w3e4r5t",
        "secret",
    )
)
"""What is tried first; also doubled, and with figures behind it."""
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""OWASP's argon2id of 19 MiB: 20 ms, so that a few sign-ins at once neither fill the memory nor the machine."""


class WeakPassword(TickerdError):
    """A password that is refused."""


def check_password(password: str, *, name: str) -> None:
    """WeakPassword unless this is good enough for the user `name`."""
    right = f"give {SHORTEST} to {LONGEST} characters that nobody would try"
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"has {len(password)} characters", key="password", right=right)
    plain = password.casefold().rstrip("0123456789!.?#")
    half = plain[: len(plain) // 2]
    doubled = half and plain == half * 2
    if plain in KNOWN or (doubled and half in KNOWN) or password.casefold() in KNOWN or len(set(password)) < 5:
        raise WeakPassword("is among the first that are tried", key="password", right=right)
    if name.casefold() in password.casefold():
        raise WeakPassword("holds the user's name", key="password", right=right)


def hash_password(password: str) -> str:
    """Return the argon2id hash: about 20 ms of work."""
    return HASHER.hash(_normal(password))


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether a password is the one of this hash. None, for a user who is not there, takes as long."""
    if len(password) > LONGEST:
        return False
    try:
        HASHER.verify(password_hash or _nobodys_hash(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def one_time_password() -> str:
    """Return a password of 120 random bits that is changed at the first sign-in."""
    return secrets.token_urlsafe(15)


@cache
def _nobodys_hash() -> str:
    return hash_password(secrets.token_urlsafe(15))


def _normal(password: str) -> bytes:
    """One password whatever keyboard wrote it (RFC 8265)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
