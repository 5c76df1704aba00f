"""Asks the quote endpoint how long a list may be and whether a crumb is bound to its cookie. One request at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from net.client import HttpClient
from scanners.context import Context
from scanners.probe.budget import Allowance
from scanners.probe.search import Crumb, Limit, Search
from yahoo.quote import QuoteAnswer
from yahoo.session import MINT_REQUESTS, BatchRefused, QuoteSession, RateLimited

T = TypeVar("T")

EDGE = 100
"""More were reported to be refused since 2025-03."""
MOST_TICKERS = 200
MOST_LISTS = 6
ENOUGH = 0.9
"""Of a list that is answered at all a few may be delisted; fewer than this were cut off in silence."""


class _Session(QuoteSession):
    """A session whose crumb another may try."""

    def borrow(self, other: _Session) -> None:
        self._crumb = other._crumb


class QuoteProbe:
    """`http`, `other`: two identities of one address. `tickers`: of which all have a quote."""

    def __init__(
        self, context: Context, allowance: Allowance, tickers: Sequence[str], *, http: HttpClient, other: HttpClient
    ) -> None:
        self._context, self._allowance, self._tickers = context, allowance, tickers
        self._has_answered = False
        self._session, self._other = _Session(http, context.clock), _Session(other, context.clock)

    async def batch(self) -> Limit:
        """Find how many tickers one request may ask for; at least so many, where a few requests cannot tell exactly."""
        believed = self._context.settings.metrics.batch_size
        await self._mint(self._session)
        search = Search(min(MOST_TICKERS, len(self._tickers)))
        hints = [believed, EDGE, EDGE + 1, believed + 1, believed // 2, believed // 2 + 1, search.most]
        for _ in range(MOST_LISTS):
            if (length := search.next(hints)) is not None:
                search.note(length, has_passed=await self._answers(self._tickers[:length]))
        if not search.passed:
            return Limit(believed=believed, reason="no list was answered")
        return Limit(believed=believed, found=search.passed, refused=search.failed)

    async def crumb(self) -> Crumb:
        """Show one identity's cookie with the other's crumb. Of another address one address can tell nothing."""
        if not self._has_answered:
            return Crumb(reason="no list was answered with a crumb of its own")
        await self._mint(self._other)
        self._session.borrow(self._other)
        await self._allowance.request()
        try:
            await self._session.quotes(self._tickers[:1])
        except RateLimited as error:
            if "crumb" in error.reason:
                return Crumb(is_bound_to_cookie=True)
            self._refused(error)
            raise
        return Crumb(is_bound_to_cookie=False)

    async def _mint(self, session: _Session) -> None:
        for _ in range(MINT_REQUESTS):
            await self._allowance.request()
        await self._send(session.mint)

    async def _answers(self, tickers: Sequence[str]) -> bool:
        await self._allowance.request()
        try:
            answer: QuoteAnswer = await self._send(lambda: self._session.quotes(tickers))
        except BatchRefused:
            return False
        self._context.budget.praise()
        self._has_answered = True
        return len(answer.quotes) >= ENOUGH * len(tickers)

    async def _send(self, send: Callable[[], Awaitable[T]]) -> T:
        try:
            return await send()
        except RateLimited as error:
            self._refused(error)
            raise

    def _refused(self, error: RateLimited) -> None:
        """Slow down every process, as a scanner's refusal does."""
        self._context.budget.refuse(now_s=self._context.clock.monotonic_s(), retry_after_s=error.retry_after_s)
