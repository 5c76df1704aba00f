"""Finds who asks, from a header, a ticket or a cookie, and that no other site's page asks in their name.

Refuses only credentials that are wrong; what a principal may ask for is decided by each route.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import Scope

from api.auth.accounts import Accounts
from api.auth.holders import kind_of
from api.auth.tickets import Tickets
from api.hosts import Hosts
from api.principals import ANONYMOUS, LOCAL, Kind, Principal
from api.problems import Problem
from core.clock import Clock

COOKIE = "tickerd_session"
SECURE_COOKIE = "__Host-tickerd_session"
"""Where the connection is encrypted: a browser takes this name from this host alone, over TLS alone (RFC 6265bis)."""
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
LONGEST_CREDENTIAL = 4096
TICKET_SCOPES = frozenset(("read",))
CROSS_SITE = (b"cross-site", b"same-site")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself; values of headers as text."""

    headers: dict[bytes, bytes]
    method: str
    is_websocket: bool
    is_stream: bool
    query: bytes

    @classmethod
    def of(cls, scope: Scope) -> Asked:
        headers = dict(scope["headers"])
        is_websocket = scope["type"] == "websocket"
        method = "GET" if is_websocket else scope["method"]
        is_stream = is_websocket or (method == "GET" and b"text/event-stream" in headers.get(b"accept", b""))
        return cls(headers, method, is_websocket, is_stream, scope.get("query_string", b""))

    def text(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def credential(self) -> tuple[str, Kind] | None:
        """What was sent in a header, which no page can make a browser send to another site without its permission."""
        if key := self.text(b"x-api-key"):
            return key, "key"
        scheme, _, value = self.text(b"authorization").partition(" ")
        value = value.strip()
        if scheme.casefold() != "bearer" or not value:
            return None
        return value, kind_of(value)

    @property
    def ticket(self) -> str:
        found = parse_qs(self.query.decode("latin-1")).get("ticket", [""]) if b"ticket=" in self.query else [""]
        return found[0][:LONGEST_CREDENTIAL]

    @property
    def cookie(self) -> str:
        """The secret of the page's session."""
        sent = self.text(b"cookie")
        if COOKIE not in sent:
            return ""
        try:
            found = SimpleCookie(sent)
        except CookieError:
            return ""
        held = found.get(SECURE_COOKIE) or found.get(COOKIE)
        return held.value if held else ""


class Guard:
    """`needed`: whether anybody must sign in at all."""

    def __init__(self, accounts: Accounts, tickets: Tickets, hosts: Hosts, clock: Clock, *, needed: bool) -> None:
        self._accounts, self._tickets, self._hosts, self._clock = accounts, tickets, hosts, clock
        self._needed = needed

    async def principal(self, asked: Asked) -> Principal:
        """Return who asks; Problem 401 for a credential that is wrong, 403 for another site's page."""
        if given := asked.credential:
            if b"origin" in asked.headers and asked.is_stream:
                self._require_own_page(asked)
            return await self._holder(*given)
        if b"origin" in asked.headers and (asked.is_stream or asked.method not in SAFE):
            self._require_own_page(asked)
        if asked.is_stream and (ticket := asked.ticket):
            return await self._of_ticket(ticket)
        if not self._needed:
            return self._local(asked)
        if secret := asked.cookie:
            return await self._of_cookie(secret, asked)
        return ANONYMOUS

    def _require_own_page(self, asked: Asked) -> None:
        if not self._hosts.may_ask(asked.text(b"origin"), asked.text(b"host")):
            raise Problem(403, "origin_refused", "pages of other sites may not ask this; see [api] cors_origins")

    async def _holder(self, credential: str, kind: Kind) -> Principal:
        found = None
        if len(credential) <= LONGEST_CREDENTIAL:
            found = await self._accounts.holders.holder(credential, kind)
        if found is None:
            said = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Problem(401, "credential_invalid", "this token or key is unknown or over", headers=said)
        return found

    async def _of_ticket(self, ticket: str) -> Principal:
        """An address ends up in logs and histories: what stands in one may read, whatever its owner may."""
        found = self._tickets.use(ticket, now_s=self._clock.monotonic_s())
        if found is None or not await self._accounts.holders.still_holds(found):
            raise Problem(401, "ticket_invalid", "this ticket was used or is over; ask for another one")
        return replace(found, kind="ticket", scopes=found.scopes & TICKET_SCOPES)

    def _local(self, asked: Asked) -> Principal:
        """Without accounts nothing but its site tells the user's own page from a stranger's in the same browser."""
        if asked.headers.get(b"sec-fetch-site") in CROSS_SITE and asked.headers.get(b"sec-fetch-mode") != b"navigate":
            self._require_own_page(asked)
        return LOCAL

    async def _of_cookie(self, secret: str, asked: Asked) -> Principal:
        """A session that is over is nobody's: the page then shows its sign-in."""
        found = await self._accounts.holders.holder(secret[:LONGEST_CREDENTIAL], "session")
        if found is None:
            return ANONYMOUS
        if asked.method not in SAFE:
            wanted = self._accounts.tokens.csrf_of(secret)
            if not compare_digest(asked.headers.get(b"x-csrf-token", b""), wanted.encode()):
                raise Problem(403, "csrf", "a page's change needs X-CSRF-Token, which signing in and /auth/me tell")
        return found
