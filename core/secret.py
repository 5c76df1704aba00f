"""What a secret that tokens are signed with must be. Makes none and keeps none."""

from __future__ import annotations

SHORTEST = 32
"""Bytes: as many as SHA-256 gives (RFC 7518, section 3.2)."""
LEAST_DIFFERENT = 8
DEFAULTS = ("your_jwt_secret", "your-secret", "change", "default", "example", "secret-key", "super-secret", "password")
"""Of such words are the secrets that stand in examples."""
RIGHT = f"give {SHORTEST} random characters or more, or leave it out: then one is made"


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
