"""The headers that every answer carries, so that a browser does nothing with it that we did not mean. Sends nothing."""

from __future__ import annotations

Raw = tuple[bytes, bytes]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS: tuple[Raw, ...] = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
NOT_KEPT: Raw = (b"cache-control", b"no-store")
"""What is told to one is no other's; an answer that may be kept says so itself."""
ENCRYPTED: Raw = (b"strict-transport-security", b"max-age=31536000")
CORS_METHODS = b"GET, POST, PUT, PATCH, DELETE"
CORS_HEADERS = b"Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-API-Key, X-Request-ID"
CORS_EXPOSED = b"ETag, RateLimit-Limit, RateLimit-Remaining, Retry-After, X-Request-ID"
PREFLIGHT_KEPT_S = 600


def with_standing(given: list[Raw], *, encrypted: bool) -> list[Raw]:
    """Return an answer's headers with those of every answer."""
    names = {name for name, _ in given}
    if b"cache-control" not in names:
        given.append(NOT_KEPT)
    given.extend(header for header in ALWAYS if header[0] not in names)
    if encrypted:
        given.append(ENCRYPTED)
    return given


def for_other_site(origin: str) -> list[Raw]:
    """Return what lets a page of `origin`, which is on the list, read an answer. It sends no cookies here."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", CORS_EXPOSED),
        (b"vary", b"Origin"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]


def for_preflight(origin: str) -> list[Raw]:
    """Return what tells a browser that a page of `origin` may send its request."""
    return [
        *for_other_site(origin),
        (b"access-control-allow-methods", CORS_METHODS),
        (b"access-control-allow-headers", CORS_HEADERS),
        (b"access-control-max-age", str(PREFLIGHT_KEPT_S).encode()),
    ]
