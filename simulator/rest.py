"""Yahoo's HTTP answers: cookie, crumb and v7 quotes. A request goes in, a response comes out; does no I/O."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from simulator import quotes
from simulator.facts import Facts
from simulator.faults import Faults
from simulator.walk import Market

COOKIE_HOST = "fc.yahoo.com"
QUERY_HOSTS = frozenset({"query1.finance.yahoo.com", "query2.finance.yahoo.com"})
HOSTS = QUERY_HOSTS | {COOKIE_HOST}
SYMBOLS_PER_REQUEST = 100
COOKIE_AGE_S = 31_557_600  # a year of 365.25 days, as Yahoo's A3 has
JSON = "application/json;charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names in lower case."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Rest:
    """Answers for all HTTP hosts. Cookies and crumbs are good as long as `secret` is: until a restart."""

    def __init__(self, market: Market, faults: Faults, *, secret: bytes) -> None:
        self._market = market
        self._faults = faults
        self._secret = secret
        self._cookies_minted = 0

    def respond(self, request: Request) -> Response:
        """Return the answer; a planned one comes first."""
        try:
            url = urlsplit(request.target)
        except ValueError:
            return _refusal(400, "Bad Request", f"{request.target} is no address")
        if planned := self._faults.planned(url.path):
            kind = JSON if planned.body.startswith(b"{") else "text/html"
            return Response(status=planned.status, body=planned.body, content_type=kind)
        if request.method != "GET":
            return _refusal(405, "Method Not Allowed", f"{request.method} is not supported")
        if request.host == COOKIE_HOST:
            return self._cookie_page()
        # Yahoo reads a repeated parameter's first value.
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/v1/test/getcrumb":
            return self._crumb(request)
        if url.path == "/v7/finance/quote":
            return self._quote(request, query)
        return _refusal(404, "Not Found", f"No resource at {url.path}")

    def _cookie_page(self) -> Response:
        """fc.yahoo.com answers 404 and sets the cookie all the same."""
        self._cookies_minted += 1
        token = urlsafe_b64encode(self._mac(f"cookie {self._cookies_minted}")[:18]).decode()
        value = f"d={token}&S={self._signature(token)}"
        cookie = f"A3={value}; Max-Age={COOKIE_AGE_S}; Domain=.yahoo.com; Path=/; SameSite=None; Secure; HttpOnly"
        return Response(status=404, content_type="text/html", headers={"set-cookie": cookie})

    def _crumb(self, request: Request) -> Response:
        token = self._token(request)
        if token is None:
            return _refusal(401, "Unauthorized", "Invalid Cookie")
        return Response(status=200, body=self._crumb_of(token).encode(), content_type="text/plain;charset=utf-8")

    def _quote(self, request: Request, query: Mapping[str, str]) -> Response:
        token = self._token(request)
        if token is None:
            return _refusal(401, "Unauthorized", "Invalid Cookie")
        if query.get("crumb") != self._crumb_of(token):
            return _refusal(401, "Unauthorized", "Invalid Crumb")
        symbols = list(dict.fromkeys(filter(None, query.get("symbols", "").split(","))))
        if not symbols:
            return _refusal(400, "Bad Request", 'Missing value for the "symbols" argument')
        if len(symbols) > SYMBOLS_PER_REQUEST:
            # Reported: more than 99 or 100 fail. The body is not on record.
            return _refusal(400, "Bad Request", "Too many symbols")
        return _json(200, {"quoteResponse": {"result": self._results(symbols, query), "error": None}})

    def _results(self, symbols: list[str], query: Mapping[str, str]) -> list[Facts]:
        """Unknown symbols are absent without a word."""
        known = (quotes.answer(self._market, symbol) for symbol in symbols if symbol not in self._faults.drop_symbols)
        found = [quote for quote in known if quote is not None]
        if fields := query.get("fields"):
            asked = frozenset(fields.split(","))
            return [quotes.only(quote, asked) for quote in found]
        return found

    def _token(self, request: Request) -> str | None:
        """Return what the A3 cookie says, if it was minted here."""
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get("A3")
        except CookieError:
            return None
        token, _, signature = cookie.value.removeprefix("d=").partition("&S=") if cookie else ("", "", "")
        return token if hmac.compare_digest(signature.encode(), self._signature(token).encode()) else None

    def _signature(self, token: str) -> str:
        return urlsafe_b64encode(self._mac(f"signed {token}")[:18]).decode()

    def _crumb_of(self, token: str) -> str:
        return b64encode(self._mac(f"crumb {token}")[:9], altchars=b"./").decode()[:11]

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), hashlib.sha256)


def _json(status: int, document: object) -> Response:
    return Response(status=status, body=json.dumps(document, separators=(",", ":")).encode())


def _refusal(status: int, code: str, description: str) -> Response:
    return _json(status, {"finance": {"result": None, "error": {"code": code, "description": description}}})
