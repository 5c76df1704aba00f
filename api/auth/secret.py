"""The secret that tokens are signed with: given by the settings, or made once and kept in the state folder (0600)."""

from __future__ import annotations

import secrets
from pathlib import Path

from core.errors import FixByHand
from core.files import make_folder, read_text, write_atomic, writing

FILE = "api_secret"
SHORTEST = 32
"""Bytes: as many as SHA-256 gives (RFC 7518, section 3.2)."""
LEAST_DIFFERENT = 8
DEFAULTS = ("your_jwt_secret", "your-secret", "change", "default", "example", "secret-key", "super-secret", "password")
"""Of such words are the secrets that stand in examples."""


def signing_secret(given: str | None, state_dir: Path) -> bytes:
    """Return the secret; FixByHand if the one given, or the one kept, is none."""
    if given is not None:
        right = f"give {SHORTEST} random characters or more, or leave it out: then one is made"
        _check(given, where="", key="api.secret", right=right)
        return given.encode()
    file = make_folder(state_dir) / FILE
    if not file.exists():
        with writing(file):
            write_atomic(file, secrets.token_urlsafe(48).encode(), mode=0o600)
    kept = read_text(file, key="api.secret").strip()
    _check(kept, where=str(file), key="", right="remove the file: a new secret is made at the next start")
    return kept.encode()


def _check(secret: str, *, where: str, key: str, right: str) -> None:
    if reason := fault_of(secret):
        raise FixByHand(reason, where=where, key=key, right=right)


def fault_of(secret: str) -> str | None:
    """Return what is wrong with a secret, without the secret itself."""
    if not secret.strip():
        return "is empty"
    if any(word in secret.casefold() for word in DEFAULTS) and len(secret) < 2 * SHORTEST:
        return "is a default that everybody knows"
    if len(secret.encode()) < SHORTEST:
        return f"has {len(secret.encode())} bytes"
    if len(set(secret)) < LEAST_DIFFERENT:
        return "is the same few characters again and again"
    return None
