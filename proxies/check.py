"""Whether Yahoo answers through a proxy, unchanged: one request over verified TLS, and what it came to. Trusts no word.

The answer must be JSON about the ticker that was asked for, with a time and a price that can be; and where another
source is at hand, its numbers must be the same.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.errors import Unreachable
from net.client import CROWD_CONNECT_S, Answer, CrowdClient, NoAnswer
from net.origin import handshake
from net.tls import Trust
from proxies.causes import cause_of_answer, cause_of_failure
from proxies.model import Address, Cause
from proxies.probe import Refusal
from yahoo.chart import QUERY, Chart, parse_chart, url_of
from yahoo.quote import BadAnswer

SYMBOLS = ("AAPL", "MSFT", "SPY", "QQQ", "F")
"""Traded each second: an old price of theirs is an old answer. One is drawn, or a cache would pass for Yahoo."""
AHEAD = timedelta(seconds=60)
OLDEST = timedelta(days=5)
"""The longest that this market was closed since 1933 is four days."""
STALE = timedelta(minutes=15)
"""Behind what another source says at the same time."""
SAME_CLOSE = 0.0005
SAME_PRICE = 0.01
"""As shares of the price: what a close loses by rounding, and what these tickers move in a minute."""
FRESH_S = 300.0
CERTAIN_S = 30.0


class Reference(Protocol):
    """Another source of the same charts."""

    async def chart(self, symbol: str, *, max_age_s: float) -> Chart | None:
        """Return what it says, not older than that; None if it cannot be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    cause: Cause
    latency_ms: float


class Checker:
    """Checks one proxy a call; keeps nothing between them."""

    def __init__(
        self,
        client: CrowdClient,
        clock: Clock,
        *,
        refusal: Refusal,
        reference: Reference,
        confirming: CrowdClient | None = None,
        trust: Trust | None = None,
        url_through: Callable[[Address], str] = lambda address: address.url,
        symbols: Sequence[str] = SYMBOLS,
    ) -> None:
        """`confirming`: trusts every usual root, where `client` has but a few: nobody is banned for Yahoo's new one.
        `trust`: the same roots, read once: tells a wrong certificate at a fifth of the cost.

        `url_through`: how to reach an address, with its password where it is one of ours.
        """
        self._client, self._clock, self._refusal, self._reference = client, clock, refusal, reference
        self._confirming, self._url_through, self._symbols = confirming or client, url_through, symbols
        self._trust = trust

    async def ask(self, address: Address) -> Checked:
        """Return what one request through `address` came to."""
        started_s = self._clock.monotonic_s()
        cause = await self._cause(address) if self._refusal(address.ip, address.port) is None else "refused"
        return Checked(cause=cause, latency_ms=(self._clock.monotonic_s() - started_s) * 1000)

    async def _cause(self, address: Address) -> Cause:
        symbol = random.choice(self._symbols)
        cause, answer = await self._get(self._client, symbol, address)
        if cause == "bad_certificate" and self._confirming is not self._client:
            if await self._is_wrong_anyhow(symbol, address):
                return "bad_certificate"
            cause, answer = await self._get(self._confirming, symbol, address)
        if answer is None:
            return cause
        cause = cause_of_answer(answer)
        if cause != "ok":
            return cause
        try:
            chart = parse_chart(answer.body)
        except BadAnswer:
            return "not_json"
        if chart is None or chart.symbol != symbol:
            return "foreign"
        return await self._compared(chart)

    async def _get(self, client: CrowdClient, symbol: str, address: Address) -> tuple[Cause, Answer | None]:
        try:
            return "ok", await client.get(url_of(symbol), QUERY, proxy=self._url_through(address))
        except NoAnswer as error:
            return cause_of_failure(error), None

    async def _is_wrong_anyhow(self, symbol: str, address: Address) -> bool:
        """Whether the certificate is wrong by every usual root; False also where that cannot be seen so."""
        if self._trust is None or address.protocol != "http":
            return False
        proxy = self._url_through(address)
        try:
            await handshake(
                url_of(symbol), lambda _connection: None, trust=self._trust, proxy=proxy, timeout_s=CROWD_CONNECT_S
            )
        except Unreachable as error:
            return isinstance(error.__cause__, ssl.SSLCertVerificationError)
        return False

    async def _compared(self, chart: Chart) -> Cause:
        """Compare with another source; where they differ, with what it says by now: days begin and prices move."""
        cause: Cause = "ok"
        for max_age_s in (FRESH_S, CERTAIN_S):
            other = await self._reference.chart(chart.symbol, max_age_s=max_age_s)
            cause = judged(chart, other, now=self._clock.utc_now())
            if cause == "ok":
                break
        return cause


def judged(chart: Chart, other: Chart | None, *, now: datetime) -> Cause:
    """Return whether a chart can be true: "ok", "stale" or "tampered"; `other`: what another source says of it."""
    if chart.price is None or chart.price_time is None or chart.price_time > now + AHEAD:
        return "tampered"
    if chart.price_time < now - OLDEST:
        return "stale"
    if other is None or other.price is None or other.price_time is None:
        return "ok"
    if chart.price_time < other.price_time - STALE:
        return "stale"
    pairs = [(close, other.closes[start], SAME_CLOSE) for start, close in chart.closes.items() if start in other.closes]
    pairs.append((chart.price, other.price, SAME_PRICE))
    return "ok" if all(abs(ours - theirs) <= share * theirs for ours, theirs, share in pairs) else "tampered"
