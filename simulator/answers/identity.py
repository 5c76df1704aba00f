"""Who a client is to Yahoo: its A3 cookie and the crumb that goes with it. Good until a restart; no I/O."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode
from http.cookies import CookieError, SimpleCookie

from simulator.answers.messages import Request

COOKIE_AGE_S = 31_557_600
"""A year of 365.25 days, as Yahoo's A3 has."""


class Identities:
    """Mints and checks; what it minted needs no memory, only the `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._minted = 0

    def cookie(self) -> str:
        """Return a new A3 as a set-cookie value."""
        self._minted += 1
        token = self.text(f"cookie {self._minted}")
        value = f"d={token}&S={self._signature(token)}"
        return f"A3={value}; Max-Age={COOKIE_AGE_S}; Domain=.yahoo.com; Path=/; SameSite=None; Secure; HttpOnly"

    def token(self, request: Request) -> str | None:
        """Return what the A3 cookie says, if it was minted here."""
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get("A3")
        except CookieError:
            return None
        token, _, signature = cookie.value.removeprefix("d=").partition("&S=") if cookie else ("", "", "")
        return token if hmac.compare_digest(signature.encode(), self._signature(token).encode()) else None

    def crumb(self, token: str) -> str:
        return b64encode(self._mac(f"crumb {token}")[:9], altchars=b"./").decode()[:11]

    def text(self, about: str) -> str:
        """Return a word that only this market can make of `about`."""
        return urlsafe_b64encode(self._mac(about)[:18]).decode()

    def _signature(self, token: str) -> str:
        return self.text(f"signed {token}")

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), hashlib.sha256)
