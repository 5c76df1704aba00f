"""What a proxy is, what an attempt through it came to, and what is kept of both. Decides nothing and does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Protocol = Literal["http", "socks4", "socks5"]
State = Literal["candidate", "live", "gold", "cooling", "evicted"]
Cause = Literal[
    "ok",
    "refused",
    "timeout",
    "reset",
    "connect_denied",  # 400, 403, 405, 502 or 503 to the CONNECT, and a SOCKS refusal
    "needs_password",  # 407
    "bad_certificate",
    "proxy_limit",  # 429 to the CONNECT: the proxy's own limit, not Yahoo's
    "yahoo_limit",  # 429 or 999 inside TLS
    "consent",
    "captcha",
    "html",
    "not_json",
    "foreign",  # not the asked ticker
    "stale",
    "tampered",
    "too_big",
    "crumb_refused",  # 401 inside TLS
    "server_error",  # 5xx inside TLS
    "own_exit",  # leaves by our own address: no other exit at all
]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
CAUSES: frozenset[str] = frozenset(get_args(Cause))
SCHEMES: dict[Protocol, str] = {"http": "http", "socks4": "socks4a", "socks5": "socks5h"}
"""As curl names them where the proxy, not this host, looks the name up: our resolver learns nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """`ip`: a canonical dotted quad."""

    protocol: Protocol
    ip: str
    port: int

    @property
    def text(self) -> str:
        return f"{self.ip}:{self.port}"

    @property
    def url(self) -> str:
        return f"{SCHEMES[self.protocol]}://{self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One proxy as it is kept in SQL.

    `ok`, `fail`: counts for good; `score_ok`, `score_fail`, `strikes`: the same, fading, as of `scored_at`. `cookie`
    (a whole header) and `crumb` were minted through this exit at `minted_at` and are never used through another.
    """

    address: Address
    state: State = "candidate"
    exit_ip: str | None = None
    ok: int = 0
    fail: int = 0
    fails_in_a_row: int = 0
    score_ok: float = 0.0
    score_fail: float = 0.0
    strikes: float = 0.0
    scored_at: datetime | None = None
    latency_ms: float | None = None
    first_seen: datetime
    last_checked: datetime | None = None
    last_ok: datetime | None = None
    cool_until: datetime | None = None
    last_error: str | None = None
    bad_certificate: bool = False
    cookie: str = ""
    crumb: str = ""
    minted_at: datetime | None = None
    sources: str = ""

    @property
    def exit(self) -> str:
        """What Yahoo's limits count by: the exit address where it is known, else the proxy's own."""
        return self.exit_ip or self.address.ip

    @property
    def has_identity(self) -> bool:
        return bool(self.cookie and self.crumb)

    def is_cooling(self, now: datetime) -> bool:
        """Whether it must not be used at `now`."""
        return self.bad_certificate or (self.cool_until is not None and self.cool_until > now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt through a proxy came to."""

    address: Address
    cause: Cause
    at: datetime
    latency_ms: float | None = None
