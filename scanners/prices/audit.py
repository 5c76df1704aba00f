"""Asks quotes for what the stream cannot say: is a quiet ticker's price still right, is a jump true?

Takes only requests that nobody else wants, unless the stream is mute. Decides nothing: the book does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.logs import get_logger
from core.notify import Notifier
from market.quality import mixed_up, why_refused
from market.quotes import Quote
from market.sessions import Session
from net.client import HttpClient
from net.origin import Origin
from scanners.context import Context, no_report, origin_of
from scanners.lane import DirectLane
from scanners.prices.book import PriceBook
from scanners.pulse import Pulse
from scanners.sweep import Sweep
from yahoo.quote import URL, QuoteAnswer

log = get_logger(__name__)

ROUND_S = 360.0
"""Each ticker is asked about once in six minutes."""
LOOK_S = 0.25
"""So soon is a doubtful price noticed, and a stream that fell silent."""
ASK_AGAIN_S = 10.0
"""A doubt that a quote could not end is asked again after this."""
TAKE_OVER_S = 30.0
"""A ticker that the stream leaves out is asked this often: at least once in each cycle, as the budget allows."""
LONGEST_ASK_S = 60.0
"""A batch that could not be asked within this goes to the end of the line."""


class Audit:
    """Goes round all tickers by quotes, batch after batch: first the doubtful, then those the stream leaves out."""

    def __init__(
        self,
        context: Context,
        book: PriceBook,
        *,
        origin: Origin,
        sessions: Callable[[], tuple[Session, ...]],
        unheard: Callable[[], Collection[str]],
        is_mute: Callable[[], bool],
    ) -> None:
        """`unheard`: the tickers for which the stream cannot vouch now; `is_mute`: it says nothing at all."""
        self._context, self._book, self._origin = context, book, origin
        self._sessions, self._unheard, self._is_mute = sessions, unheard, is_mute
        self._clock, self._size = context.clock, context.settings.metrics.batch_size
        # What the stream says of the upstream is not to be mixed with what quotes say.
        self._own = replace(context, pulse=Pulse(Notifier(None), context.clock, no_report), once=False)
        self._line: list[str] = []
        self._asked_s: dict[str, float] = {}
        self._doubts_asked_s: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._requests = 0

    @property
    def facts(self) -> dict[str, Any]:
        """How the quote endpoint answers: "upstream" and since when it does not."""
        return self._own.pulse.facts

    @property
    def data_at(self) -> datetime | None:
        """When an answer last came."""
        return self._own.pulse.data_at

    async def run(self) -> None:
        """Ask until asked to stop; nothing if quotes would come from another market than the stream."""
        origin = await origin_of(self._own, URL)
        if origin is None:
            return
        if origin != self._origin:
            log.warning("audit_left_out", reason=f"quotes are {origin} data, the stream's are {self._origin} data")
            return
        proxy = self._context.settings.network.proxy
        async with HttpClient(ca_path=self._context.trust.ca_path, proxy=proxy) as http:
            lane = DirectLane(self._own, http, patient=lambda: not self._is_mute())
            next_s = self._clock.monotonic_s()
            while not await self._context.wait(LOOK_S):
                now_s = self._clock.monotonic_s()
                batch = self._doubtful(now_s) or self._overdue(now_s)
                if not batch and now_s >= next_s:
                    batch = self._next()
                    next_s = now_s + ROUND_S * len(batch) / len(self._book.seen)
                if batch:
                    self._asked_s |= dict.fromkeys(batch, now_s)
                    await self._ask(lane, batch)
                self._requests = lane.requests

    def _doubtful(self, now_s: float) -> list[str]:
        """Return the tickers whose held price wants a quote now."""
        asked_s = self._doubts_asked_s = {
            each: at_s for each, at_s in self._doubts_asked_s.items() if each in self._book.doubtful
        }
        due = [each for each in self._book.doubtful if now_s - asked_s.get(each, -ASK_AGAIN_S) >= ASK_AGAIN_S]
        asked_s |= dict.fromkeys(due[: self._size], now_s)
        return due[: self._size]

    def _overdue(self, now_s: float) -> list[str]:
        """Return those that the stream leaves out and that were not asked lately, the longest ago first."""
        asked_s = self._asked_s
        due = [each for each in self._unheard() if now_s - asked_s.get(each, -math.inf) >= TAKE_OVER_S]
        return sorted(due, key=lambda each: asked_s.get(each, -math.inf))[: self._size]

    def _next(self) -> list[str]:
        """Return the next batch of the round; each round begins with those of which least is known."""
        if not self._line:
            seen, self._size = self._book.seen, self._context.settings.metrics.batch_size
            self._line = sorted(seen, key=lambda each: max(seen[each].heard_s or 0.0, seen[each].quoted_s or 0.0))
        batch, self._line = self._line[: self._size], self._line[self._size :]
        return batch

    async def _ask(self, lane: DirectLane, batch: list[str]) -> None:
        sweep = Sweep(self._own, lane, self._accept, stage="audit")
        await sweep.run(batch, batch_size=len(batch), concurrency=1, deadline_s=LONGEST_ASK_S)
        if sweep.result.failures["BatchRefused"]:
            self._size = max(1, len(batch) // 2)  # for the rest of this round
        for ticker in sweep.result.missing:
            self._book.left_out(ticker)
        self._failures += sweep.result.failures
        self._line += [ticker for left in sweep.result.unasked for ticker in left]

    async def _accept(self, answer: QuoteAnswer) -> None:
        now, now_s, sessions = self._clock.utc_now(), self._clock.monotonic_s(), self._sessions()
        self._failures["foreign"] += len(answer.foreign)
        quotes = [quote for quote in answer.quotes if self._is_sound(quote, why_refused(quote, at=now))]
        odd = [quote for quote in quotes if self._book.contradicts(quote)]
        if mixed_up(len(odd), len(quotes)):
            self._failures["batch_contradicts"] += 1
            log.warning("quotes_contradict", tickers=len(quotes), odd=len(odd))
            for quote in odd:
                self._book.hold_quote(quote)
            return
        for quote in quotes:
            self._book.offer_quote(quote, sessions, now_s=now_s)

    def _is_sound(self, quote: Quote, rule: str | None) -> bool:
        if rule is not None:
            self._failures[f"refused_{rule}"] += 1
            if self._context.refusals.is_due(quote.ticker, now_s=self._clock.monotonic_s()):
                log.warning("quote_refused", ticker=quote.ticker, rule=rule)
        return rule is None

    def detail(self) -> dict[str, Any]:
        """Return the counts since the start, for the record."""
        return {"requests": self._requests, "quotes": dict(self._book.audited), "failures": dict(+self._failures)}
