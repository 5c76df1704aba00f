"""One identity at Yahoo: its cookie, its crumb and the quotes asked with them. Shares neither with another exit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

from core.clock import Clock
from core.errors import RetryLater
from core.flight import FlightRecorder
from net.client import Answer, Getter, HttpClient
from yahoo.quote import URL, BadAnswer, QuoteAnswer, parse_answer, query

COOKIE_URL = "https://fc.yahoo.com/"
CRUMB_URL = "https://query1.finance.yahoo.com/v1/test/getcrumb"
LONGEST_CRUMB = 40
"""A crumb is 11 characters; refusals come as sentences and as HTML."""
MINT_REQUESTS = 2
CRUMB_REFUSED = (401, 403)
SERVER_ERROR = 500
SHORTEST_SECRET = 8
"""What is shorter stands in any text by chance."""
REDACTED = b"REDACTED"


class RateLimited(RetryLater):
    """Yahoo answers 429, or refuses the crumb as it does after too many requests."""

    def __init__(self, reason: str, *, where: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason, where=where, right="slow down")
        self.retry_after_s = retry_after_s


class CrumbRefused(RateLimited):
    """401 or 403: the crumb wore out, or Yahoo refuses as it does after too many requests."""


class BatchRefused(RetryLater):
    """Yahoo refuses a list of this length; a shorter one may pass."""


class NoCrumb(BadAnswer):
    """`answer`: what came in its place."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"no crumb: status {answer.status}", where=CRUMB_URL)
        self.answer = answer


class QuoteSession:
    """Asks for quotes with one cookie and one crumb, minted when first needed and once again after a 401.

    `crumb`: one that was minted before, by the same exit and with the cookie that `http` holds.
    """

    def __init__(self, http: Getter, clock: Clock, *, flight: FlightRecorder | None = None, crumb: str = "") -> None:
        self._http = http
        self._clock = clock
        self._flight = flight
        self._crumb = crumb

    @property
    def has_crumb(self) -> bool:
        return bool(self._crumb)

    @property
    def crumb(self) -> str:
        return self._crumb

    async def mint(self) -> None:
        """Fetch a cookie and the crumb bound to it: two requests."""
        await self._http.get(COOKIE_URL)  # answers 404 and sets the cookie
        answer = await self._http.get(CRUMB_URL)
        crumb = answer.body.decode(errors="replace").strip()
        if answer.status == 429 or "Too Many" in crumb:
            raise _rate_limited(answer, CRUMB_URL, self._clock.utc_now())
        if answer.status != 200 or not crumb or len(crumb) > LONGEST_CRUMB or "<" in crumb:
            raise NoCrumb(answer)
        self._crumb = crumb

    async def quotes(self, tickers: Sequence[str]) -> QuoteAnswer:
        """Return the quotes of `tickers` by one request; `mint` must have been called.

        Raises Unreachable, RateLimited, BatchRefused, or BadAnswer; a refused crumb (401) is forgotten.
        """
        return quotes_of(await self.ask(tickers), asked=tickers, at=self._clock.utc_now())

    async def ask(self, tickers: Sequence[str]) -> Answer:
        """Return the answer as it came; a refused crumb (401) is forgotten."""
        crumb = self._crumb
        answer = await self._http.get(URL, query(tickers, crumb))
        if self._flight is not None:
            body = without_secrets(answer.body, [crumb, *self._http.cookies()])
            self._flight.answer(address_without_crumb(tickers), answer.status, body)
        if answer.status in CRUMB_REFUSED and crumb == self._crumb:
            self._crumb = ""  # a late answer to an old crumb says nothing of the new one
        return answer

    async def get(self, url: str, params: Mapping[str, str] | None = None, *, with_crumb: bool) -> Answer:
        """Return the answer of any endpoint as it came; RateLimited, or BadAnswer where the server failed."""
        crumb = self._crumb if with_crumb else ""
        return self._unrefused(await self._http.get(url, _with(crumb, params)), url, crumb)

    async def post(self, http: HttpClient, url: str, params: Mapping[str, str], body: bytes) -> Answer:
        """The same for a POST, through the client that holds this session's cookie."""
        crumb = self._crumb
        return self._unrefused(await http.post(url, _with(crumb, params), body), url, crumb)

    def _unrefused(self, answer: Answer, url: str, crumb: str) -> Answer:
        if answer.status in CRUMB_REFUSED and crumb == self._crumb:
            self._crumb = ""
        if answer.status == 429:
            raise _rate_limited(answer, url, self._clock.utc_now())
        if answer.status in CRUMB_REFUSED:
            raise CrumbRefused(f"crumb refused: status {answer.status}", where=url)
        if answer.status >= SERVER_ERROR:
            raise BadAnswer(f"status {answer.status}", where=url)
        return answer


def quotes_of(answer: Answer, *, asked: Sequence[str], at: datetime) -> QuoteAnswer:
    """Return the quotes of an answer; RateLimited, BatchRefused or BadAnswer if it holds none."""
    if answer.status == 200:
        return parse_answer(answer.body, asked=asked, at=at)
    if answer.status == 429:
        raise _rate_limited(answer, URL, at)
    if answer.status in CRUMB_REFUSED:
        raise CrumbRefused(f"crumb refused: status {answer.status}", where=URL)
    if answer.status in (400, 413, 414) and len(asked) > 1:
        raise BatchRefused(f"a list of {len(asked)} was refused: status {answer.status}", where=URL)
    raise BadAnswer(f"status {answer.status}", where=URL)


def _with(crumb: str, params: Mapping[str, str] | None) -> dict[str, str]:
    return {**(params or {}), **({"crumb": crumb} if crumb else {})}


def address_without_crumb(tickers: Sequence[str]) -> str:
    """Return what was asked, as it may be kept."""
    asked = query(tickers, "")
    del asked["crumb"]
    return f"{URL}?{urlencode(asked)}"


def without_secrets(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return `body` without these texts or their parts, should an answer echo what was asked with."""
    parts = {
        part for secret in secrets for part in (secret, *re.split("[&=;]", secret)) if len(part) >= SHORTEST_SECRET
    }
    for part in sorted(parts, key=len, reverse=True):
        encoded = quote(part, safe="")
        # In an address, in an address within an address (a redirect to a consent page), in JSON.
        for form in (part, encoded, quote(encoded, safe=""), part.replace("/", "\\/")):
            body = body.replace(form.encode(), REDACTED)
    return body


def retry_after_s(text: str, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date to wait until (RFC 9110 10.2.3)."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _rate_limited(answer: Answer, where: str, now: datetime) -> RateLimited:
    wait_s = retry_after_s(answer.headers.get("retry-after", ""), now=now)
    return RateLimited(f"too many requests: status {answer.status}", where=where, retry_after_s=wait_s)
