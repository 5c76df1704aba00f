"""The direct lane: this host's own address to Yahoo, inside the rate that all processes share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from core.errors import RetryLater, Unreachable
from core.logs import get_logger
from net.budget import idle_in_s
from net.client import Answer, HttpClient
from scanners.context import Context
from yahoo.quote import QuoteAnswer
from yahoo.session import CRUMB_URL, MINT_REQUESTS, QuoteSession, RateLimited

log = get_logger(__name__)
T = TypeVar("T")


LONGEST_LOOK_S = 1.0
"""A patient one looks so often whether it still has to be."""


class Stopped(RetryLater):
    """The scanner was asked to stop before the request was sent."""


class DirectLane:
    """Asks for quotes one batch a call; each request waits for its slot of the shared budget.

    `patient`: while it says so, only slots that nobody else wants are taken, and one is left free before each.
    """

    def __init__(self, context: Context, http: HttpClient, *, patient: Callable[[], bool] = lambda: False) -> None:
        self._context, self._patient = context, patient
        self._http = http
        self._session = QuoteSession(http, context.clock, flight=context.flight)
        self._minting = asyncio.Lock()
        self._waiting = asyncio.Lock()
        self._refused_s = 0.0
        self._crumbs_refused = 0
        self.requests = 0

    async def quotes(self, tickers: Sequence[str]) -> QuoteAnswer:
        """Return the quotes of `tickers`; raises what `QuoteSession.quotes` raises, or Stopped."""
        return await self.ask(lambda session: session.quotes(tickers))

    async def ask(self, send: Callable[[QuoteSession], Awaitable[T]], *, with_crumb: bool = True) -> T:
        """Return what `send` brings in a slot of the budget; raises what it raises, or Stopped."""
        try:
            await (self._slot_with_crumb() if with_crumb else self._plain_slot())
            answer = await self._send(lambda: send(self._session))
        except Unreachable as error:
            self._context.pulse.unreachable(str(error))
            raise
        self._crumbs_refused = 0
        self._context.budget.praise()
        self._context.pulse.reached()
        return answer

    async def get(self, url: str, params: Mapping[str, str] | None = None, *, with_crumb: bool) -> Answer:
        """Return the answer of any endpoint; raises what `QuoteSession.get` raises, or Stopped."""
        return await self.ask(lambda session: session.get(url, params, with_crumb=with_crumb), with_crumb=with_crumb)

    async def post(self, url: str, params: Mapping[str, str], body: bytes) -> Answer:
        """The same for a POST with cookie and crumb."""
        return await self.ask(lambda session: session.post(self._http, url, params, body))

    async def _slot_with_crumb(self) -> None:
        while True:
            async with self._minting:
                if not self._session.has_crumb:
                    for _ in range(MINT_REQUESTS):
                        await self._slot()
                    self.requests += MINT_REQUESTS
                    await self._send(self._session.mint)
            await self._slot()
            if self._session.has_crumb:  # else it wore out while we waited
                self.requests += 1
                return

    async def _plain_slot(self) -> None:
        await self._slot()
        self.requests += 1

    async def _slot(self) -> None:
        """Wait for a slot of the budget; one that was given before a refusal, of whichever process, does not count.

        One slot at a time is held: other processes get theirs in turn, and who is killed leaves one behind.
        """
        budget, clock = self._context.budget, self._context.clock
        async with self._waiting:
            while True:
                await self._until_idle()
                given_s = self._refused_s
                now_s = clock.monotonic_s()
                await self._wait_for(now_s, budget.reserve(now_s=now_s))
                if given_s == self._refused_s and not budget.quiet_for_s(clock.monotonic_s()):
                    return

    async def _wait_for(self, now_s: float, wait_s: float) -> None:
        """Wait for the slot; give it back if it is not to be used after all."""
        if wait_s <= 0 and not self._context.stop.is_set():
            return
        is_used = False
        try:
            if await self._context.wait(wait_s):
                raise Stopped("asked to stop")
            is_used = True
        finally:
            if not is_used:
                self._context.budget.give_back(slot_s=now_s + wait_s)

    async def _until_idle(self) -> None:
        """While patient, wait until a whole slot has passed that nobody took."""
        while self._patient():
            lane, now_s = self._context.budget.lane(), self._context.clock.monotonic_s()
            busy_s = idle_in_s(lane, now_s=now_s)
            if busy_s <= 0:
                return
            if await self._context.wait(min(busy_s, LONGEST_LOOK_S)):
                raise Stopped("asked to stop")

    async def _send(self, send: Callable[[], Awaitable[T]]) -> T:
        sent_s = self._context.clock.monotonic_s()
        try:
            return await send()
        except RateLimited as error:
            self._refused(error, sent_s)
            raise

    def _refused(self, error: RateLimited, sent_s: float) -> None:
        """Slow every process down. Requests that were under way together are refused once; a crumb that wears out
        (after 10 to 20 minutes) is no refusal unless the next one is not taken either."""
        if sent_s < self._refused_s:
            return
        now_s = self._refused_s = self._context.clock.monotonic_s()
        if error.where != CRUMB_URL and not self._session.has_crumb:
            self._crumbs_refused += 1
            if self._crumbs_refused == 1:
                log.info("crumb_worn_out", error=str(error))
                return
        self._context.budget.refuse(now_s=now_s, retry_after_s=error.retry_after_s)
        self._context.pulse.refusing(str(error))
        log.warning("upstream_refused", error=str(error), retry_after_s=error.retry_after_s)
