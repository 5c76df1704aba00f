"""The direct lane: this host's own address to Yahoo, inside the rate that all processes share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.errors import RetryLater, Unreachable
from core.logs import get_logger
from net.client import HttpClient
from scanners.context import Context
from yahoo.quote import QuoteAnswer
from yahoo.session import MINT_REQUESTS, QuoteSession, RateLimited

log = get_logger(__name__)


class Stopped(RetryLater):
    """The scanner was asked to stop before the request was sent."""


class DirectLane:
    """Asks for quotes one batch a call; each request waits for its slot of the shared budget."""

    def __init__(self, context: Context, http: HttpClient) -> None:
        self._context = context
        self._session = QuoteSession(http, context.clock)
        self._minting = asyncio.Lock()
        self.requests = 0

    async def quotes(self, tickers: Sequence[str]) -> QuoteAnswer:
        """Return the quotes of `tickers`; raises what `QuoteSession.quotes` raises, or Stopped."""
        try:
            await self._mint_if_needed()
            await self._slot()
            answer = await self._session.quotes(tickers)
        except RateLimited as error:
            now_s = self._context.clock.monotonic_s()
            self._context.budget.refuse(now_s=now_s, retry_after_s=error.retry_after_s)
            log.warning("upstream_refused", error=str(error), retry_after_s=error.retry_after_s)
            raise
        except Unreachable as error:
            self._context.pulse.unreachable(str(error))
            raise
        self._context.budget.praise()
        self._context.pulse.reached()
        return answer

    async def _mint_if_needed(self) -> None:
        async with self._minting:
            if not self._session.has_crumb:
                for _ in range(MINT_REQUESTS):
                    await self._slot()
                await self._session.mint()

    async def _slot(self) -> None:
        wait_s = self._context.budget.reserve(now_s=self._context.clock.monotonic_s())
        if await self._context.wait(wait_s):
            raise Stopped("asked to stop")
        self.requests += 1
