"""Asks the stream how many symbols a connection may have, and how much one tells. One connection at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from core.errors import Unreachable
from net.stream import open_stream
from scanners.context import Context
from scanners.probe.budget import Allowance
from scanners.probe.search import Limit, Rate, Search
from yahoo.stream import ORIGIN, FrameParser, subscribe_text

EDGE = 100
"""Symbols that a connection was measured to have in 2026-09."""
MOST_SYMBOLS = 120
HEAR_S = 15.0
"""A canary that was subscribed is heard by then: it ticks about each five seconds."""
SNAPSHOT_S = 3.0
"""What comes first is each ticker's last price, and no measure of a rate."""
RATE_S = 20.0


@dataclass(slots=True)
class _Heard:
    messages: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0


class StreamProbe:
    """`tickers`: the busiest first."""

    def __init__(self, context: Context, allowance: Allowance, tickers: Sequence[str]) -> None:
        self._context, self._allowance = context, allowance
        self._canary = context.settings.prices.canary
        self._tickers = [ticker for ticker in tickers if ticker != self._canary]
        self._most = min(MOST_SYMBOLS, len(self._tickers) + 1)
        self._highest = 0

    async def rate(self, *, why_not: str) -> Rate:
        """Listen to the busiest tickers for `RATE_S`; `why_not`: no rate, only which of them are told of at all."""
        asked = self._tickers[: self._most]
        async with self._opened(asked) as stream:
            first = await self._hear(stream, SNAPSHOT_S)
            later = _Heard() if why_not else await self._hear(stream, RATE_S)
        heard = first.messages + later.messages
        self._highest = max((place for place, ticker in enumerate(asked, start=1) if ticker in heard), default=0)
        if why_not:
            return Rate(symbols=len(asked), heard=len(heard), reason=why_not)
        return Rate(
            symbols=len(asked),
            heard=len(heard),
            seconds_s=RATE_S,
            messages_per_s=later.messages.total() / RATE_S,
            busiest_per_s=max(later.messages.values(), default=0) / RATE_S,
            bytes_per_s=later.size_bytes / RATE_S,
        )

    async def symbols(self) -> Limit:
        """Find how long a list may be for the canary at its end to be heard. Works at any hour."""
        believed = self._context.settings.prices.symbols_per_connection + 1
        search = Search(self._most)
        hints = [1, self._highest, self._highest + 1, EDGE, EDGE + 1, believed, believed + 1, self._most]
        while (length := search.next(hints)) is not None:
            search.note(length, has_passed=await self._reaches(length))
            if not search.passed:
                return Limit(believed=believed, reason=f"{self._canary} is not heard even alone")
        return Limit(believed=believed, found=search.passed, refused=search.failed)

    async def _reaches(self, length: int) -> bool:
        async with self._opened([*self._tickers[: length - 1], self._canary]) as stream:
            return self._canary in (await self._hear(stream, HEAR_S, until=self._canary)).messages

    async def _hear(self, stream: ClientConnection, for_s: float, *, until: str = "") -> _Heard:
        """Return what is told within `for_s`, or until a symbol has spoken. A stream that closes says no more."""
        heard, parser = _Heard(), FrameParser()
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(for_s):
                while until not in heard.messages:
                    frame = await stream.recv(decode=False)
                    heard.size_bytes += len(frame)
                    if (tick := parser.parse(frame)) is not None:
                        heard.messages[tick.ticker] += 1
        return heard

    @asynccontextmanager
    async def _opened(self, symbols: Sequence[str]) -> AsyncIterator[ClientConnection]:
        self._allowance.connect()
        url, network = self._context.settings.prices.stream_url, self._context.settings.network
        try:
            async with open_stream(url, trust=self._context.trust, proxy=network.proxy, origin=ORIGIN) as stream:
                await stream.send(subscribe_text(symbols))
                yield stream
        except (OSError, WebSocketException) as error:
            raise Unreachable(f"no stream ({error})", where=url.partition("?")[0]) from error
