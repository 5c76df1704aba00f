"""Fetches the running session's prices for a scan that asks for fresh ones: a request of the quote endpoint a batch.

What comes is written to the table by its rules and read back from there: SQL stays the truth. Asks only in slots of the
shared budget that nobody else wants, and not at all while Yahoo wants silence. Fetches no history: that is the daily
scanner's work.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np

from core.clock import Clock
from core.errors import RetryLater, Unreachable
from core.files import make_folder
from core.logs import get_logger
from core.settings import Settings
from market.quality import agree, mixed_up, why_refused
from market.sessions import PRICE_GRACE, Session
from net.budget import Budget, idle_in_s
from net.client import HttpClient
from net.origin import probe_origin
from net.tls import build_trust
from screener.cube.bars import Bars, day_number
from screener.cube.live import with_live
from screener.expressions.fields import Floats
from screener.jobs.feed import FetchStopped, Stale
from screener.store import Store
from storage.quotes import write_quotes
from storage.witness import read_prices
from storage.writer import Writer
from yahoo.quote import URL, QuoteAnswer
from yahoo.session import MINT_REQUESTS, QuoteSession, RateLimited

log = get_logger(__name__)

LOOK_S = 0.25
"""A scan that is to end is not kept waiting longer than this."""
AWAY_S = 30.0
"""Who did not answer is not asked for so long: each of a scan's hundred batches would wait in vain."""
HEARD = ("price_updated_at", "metrics_updated_at")
"""When a ticker's price was last said or confirmed."""
REMEMBERED = timedelta(days=5)
"""The longest time between two sessions; a price that was confirmed before it is held against nothing."""
Stopped = Callable[[], bool]


class QuoteFeed:
    """The feed of one process; scans that run at one time take turns."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self.batch = settings.metrics.batch_size
        self._turn = threading.Lock()
        # What libcurl waits with wants a selector, which on Windows is not the standard.
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop if sys.platform == "win32" else None)
        self._upstream: _Upstream | None = None
        self._away_until_s = -math.inf

    def close(self) -> None:
        if self._upstream is not None:
            self._runner.run(self._upstream.close())
        self._runner.close()

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        """Return which tickers traded in the newest complete session, and were not heard of in this one for so long.

        A bar of the session that is in SQL is complete, and a halted ticker has no price to be fetched.
        """
        nothing = np.zeros(bars.width, np.bool_)
        session = self._store.session()
        if session is None or not bars.rows:
            return Stale(nothing)
        day, provisional = day_number(session.session_date), nothing if bars.provisional is None else bars.provisional
        before = np.where(provisional, bars.session[-2] if bars.rows > 1 else 0, bars.session[-1])
        traded = (before < day) & (before == before[before < day].max(initial=0)) & (before > 0)
        return Stale(traded & (self._age_s(bars.tickers, session) > max_age_s), day)

    def _age_s(self, tickers: Sequence[str], session: Session) -> Floats:
        """Return for how many seconds of the session each has not been heard of."""
        over_s = max(0.0, (self._clock.utc_now() - session.closes_at - PRICE_GRACE).total_seconds())
        heard = self._store.table().read(HEARD, tickers)
        ages = np.array([heard[name].numbers for name in HEARD])
        last: Floats = np.fmin.reduce(ages)
        return np.where(np.isnan(last), np.inf, last) - over_s

    def fetch(self, bars: Bars, stopped: Stopped) -> Bars:
        while not self._turn.acquire(timeout=LOOK_S):
            _unless(stopped)
        try:
            self._runner.run(self._ask(bars.tickers, stopped))
        finally:
            self._turn.release()
        session = self._store.session()
        if session is None:
            return bars
        live, before = self._store.prices(bars.tickers, session), bars.until(day_number(session.session_date) - 1)
        return with_live(before, live.in_units_of(before.close[-1])).tail(bars.rows)

    async def _ask(self, tickers: Sequence[str], stopped: Stopped) -> None:
        left_s = self._away_until_s - self._clock.monotonic_s()
        if left_s > 0:
            raise RetryLater(f"did not answer, is asked again in {left_s:.0f} s", where=URL, right="scan again later")
        try:
            if self._upstream is None:
                self._upstream = await _Upstream.open(self._settings, self._clock)
            answer = await self._upstream.quotes(tickers, stopped)
        except Unreachable:
            self._away_until_s = self._clock.monotonic_s() + AWAY_S
            raise
        self._write(answer, self._upstream.writer)

    def _write(self, answer: QuoteAnswer, writer: Writer) -> None:
        """Write what is sound; RetryLater if the rows contradict what is known: they may be each other's."""
        at, session = self._clock.utc_now(), self._store.session()
        held = read_prices(self._store.engine, since=at - REMEMBERED)
        known = [(quote.current_price, held.get(quote.ticker)) for quote in answer.quotes]
        odd = sum(price is not None and was is not None and not agree(price, was) for price, was in known)
        if mixed_up(odd, len(known)):
            raise RetryLater(f"{odd} of {len(known)} prices contradict the table", where=URL, right="scan again later")
        sound = [quote for quote in answer.quotes if why_refused(quote, at=at) is None]
        write_quotes(
            writer,
            sound,
            at=at,
            session_opens_at=session.opens_at if session else None,
            session_closes_at=session.closes_at if session else None,
        )


class _Upstream:
    """Yahoo as this process sees it: one identity, one share of the budget, and whose data it is."""

    def __init__(self, http: HttpClient, writer: Writer, budget: Budget, clock: Clock) -> None:
        self._http, self.writer, self._budget, self._clock = http, writer, budget, clock
        self._session = QuoteSession(http, clock)

    @classmethod
    async def open(cls, settings: Settings, clock: Clock) -> _Upstream:
        """Unreachable if Yahoo does not answer; FixByHand if the database holds another market's data."""
        network, state_dir = settings.network, make_folder(Path(settings.state.dir))
        trust = build_trust(ca_file=network.ca_file, state_dir=state_dir)
        origin = await probe_origin(URL, trust=trust, proxy=network.proxy)
        writer = Writer.open(settings.database.url, service="screener", origin=origin, clock=clock)
        budget = Budget(state_dir, start_per_s=network.start_requests_per_s, max_per_s=network.max_requests_per_s)
        return cls(HttpClient(ca_path=trust.ca_path, proxy=network.proxy), writer, budget, clock)

    async def close(self) -> None:
        self.writer.close()
        await self._http.close()

    async def quotes(self, tickers: Sequence[str], stopped: Stopped) -> QuoteAnswer:
        """Return their quotes by one request. A crumb wears out after minutes: the first refusal of one is none."""
        with suppress(_WornOut):
            return await self._quotes(tickers, stopped, was_fresh=not self._session.has_crumb)
        return await self._quotes(tickers, stopped, was_fresh=True)

    async def _quotes(self, tickers: Sequence[str], stopped: Stopped, *, was_fresh: bool) -> QuoteAnswer:
        try:
            if not self._session.has_crumb:
                for _ in range(MINT_REQUESTS):
                    await self._slot(stopped)
                await self._session.mint()
            await self._slot(stopped)
            answer = await self._session.quotes(tickers)
        except RateLimited as error:
            if error.where == URL and not self._session.has_crumb and not was_fresh:
                raise _WornOut("the crumb wore out") from error
            self._budget.refuse(now_s=self._clock.monotonic_s(), retry_after_s=error.retry_after_s)
            log.warning("upstream_refused", error=str(error), retry_after_s=error.retry_after_s)
            raise
        self._budget.praise()
        return answer

    async def _slot(self, stopped: Stopped) -> None:
        """Wait until a whole slot has passed that nobody took, then take one."""
        while (busy_s := idle_in_s(self._budget.lane(), now_s=self._clock.monotonic_s())) > 0:
            self._unless_silent()
            _unless(stopped)
            await self._clock.sleep(min(busy_s, LOOK_S))
        self._unless_silent()
        _unless(stopped)
        await self._clock.sleep(self._budget.reserve(now_s=self._clock.monotonic_s()))

    def _unless_silent(self) -> None:
        """After a refusal all are silent for a while; a scan does not wait for the end of that."""
        quiet_s = self._budget.quiet_for_s(self._clock.monotonic_s())
        if quiet_s > 0:
            raise RetryLater(f"Yahoo wants silence for {quiet_s:.0f} s more", where=URL, right="scan again later")


class _WornOut(RetryLater):
    """A crumb that was taken before is not taken any more."""


def _unless(stopped: Stopped) -> None:
    if stopped():
        raise FetchStopped("the scan is over")
