"""The first stage: all quotes in batches, the session's bars from them, and which charts are needed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core.logs import get_logger
from market.quality import agree, mixed_up, why_past_refused, why_refused
from market.quotes import Quote
from scanners.context import reading
from scanners.daily import plan
from scanners.daily.night import Night
from scanners.sweep import Sweep
from storage.daily_bars import is_sound, write_daily_bars
from storage.daily_progress import Quoted, Standing, mark_quoted, read_last_closes
from storage.quotes import write_quotes
from storage.witness import read_prices
from yahoo.quote import QuoteAnswer
from yahoo.session import BatchRefused

log = get_logger(__name__)

STAGE = "quotes"
LONGEST_S = 3 * 3600.0
REMEMBERED = timedelta(days=5)
"""The longest time between two sessions; a price that was confirmed before it is held against nothing."""
UNKNOWN = "unknown"
"""Asked for twice and silently left out: Yahoo does not know it."""


OF_THE_SWEEP = ("Contradiction", "BatchRefused")
"""Failures that the asker does not count."""


class _PatientLane:
    """The lane as all stages use it: in a storm silent for minutes, by hand at its end after one without a network."""

    def __init__(self, night: Night) -> None:
        self._night = night

    async def quotes(self, tickers: Sequence[str]) -> QuoteAnswer:
        answer = await self._night.asker.patiently(lambda: self._ask(tickers))
        if isinstance(answer, BatchRefused):
            raise answer
        return answer

    async def _ask(self, tickers: Sequence[str]) -> QuoteAnswer | BatchRefused:
        """Ask once; that a list is too long is an answer, too: the same list is not asked for again."""
        try:
            return await self._night.lane.quotes(tickers)
        except BatchRefused as refused:
            return refused


class Quotes:
    """One pass over the tickers that have no quote of this night yet."""

    def __init__(self, night: Night) -> None:
        self._night = night
        self._writing = asyncio.Lock()
        self._done = 0
        self._total = 0
        self._prices: Mapping[str, float] = {}
        self._closes: Mapping[str, float] = {}

    async def run(self, tickers: Sequence[str]) -> None:
        """Ask for all of them; what the database raises ends it."""
        await asyncio.to_thread(self._begin)
        self._total = len(tickers)
        missing = await self._sweep(tickers)
        if missing:  # what one answer left out may be in the next
            missing = await self._sweep(sorted(missing))
        await asyncio.to_thread(self._mark, [self._without(ticker, UNKNOWN) for ticker in sorted(missing)])

    def _begin(self) -> None:
        since = self._night.context.clock.utc_now() - REMEMBERED
        self._prices = reading(self._night.context, lambda engine: read_prices(engine, since=since))
        self._closes = read_last_closes(self._night.engine, self._night.session.session_date)

    async def _sweep(self, tickers: Sequence[str]) -> set[str]:
        night, settings = self._night, self._night.context.settings
        lane = _PatientLane(night)
        sweep = Sweep(night.context, lane, self._accept, stage=STAGE, advance=self._advance, is_patient=True)
        concurrency = min(settings.metrics.concurrency, settings.daily.threads)
        await sweep.run(tickers, batch_size=settings.metrics.batch_size, concurrency=concurrency, deadline_s=LONGEST_S)
        night.check()
        night.asker.failures += Counter({kind: sweep.result.failures[kind] for kind in OF_THE_SWEEP})
        return sweep.result.missing

    def _advance(self, _done: int, _total: int) -> None:
        self._night.answered()
        left = -(-(self._total - self._done) // self._night.context.settings.metrics.batch_size)
        self._night.show(STAGE, done=self._done, total=self._total, requests=left)

    async def _accept(self, answer: QuoteAnswer) -> bool:
        """Write an answer, unless its prices are not those of the known market: its rows may be each other's."""
        known = [(quote.current_price, self._prices.get(quote.ticker)) for quote in answer.quotes]
        odd = sum(1 for price, held in known if price is not None and held is not None and not agree(price, held))
        if mixed_up(odd, len(known)):
            log.warning("quotes_contradict", tickers=len(known), odd=odd)
            return False
        async with self._writing:  # the counts are those of one thread at a time
            await asyncio.to_thread(self._write, answer.quotes, self._night.context.clock.utc_now())
        self._done += len(answer.quotes)
        return True

    def _write(self, quotes: Sequence[Quote], at: datetime) -> None:
        night, session = self._night, self._night.session
        rules = {quote.ticker: why_refused(quote, at=at) or self._why_past(quote) for quote in quotes}
        sound = [quote for quote in quotes if rules[quote.ticker] is None]
        write_quotes(
            night.writer,
            sound,
            at=at,
            session_opens_at=session.opens_at,
            session_closes_at=session.closes_at,
        )
        made = (plan.bar_of(quote, session, night.context.calendar) for quote in sound)
        bars = [bar for bar in made if bar is not None and is_sound(bar)]
        write_daily_bars(night.writer, bars)
        taken = {bar.ticker for bar in bars}
        rows = [self._quoted(quote, bar_taken=quote.ticker in taken) for quote in sound]
        rows += [self._refused(quote, rule) for quote in quotes if (rule := rules[quote.ticker]) is not None]
        self._mark(rows)
        night.tell_refusals("quote")

    def _why_past(self, quote: Quote) -> str | None:
        return why_past_refused(quote, last_close=self._closes.get(quote.ticker))

    def _standing(self, ticker: str) -> Standing:
        return self._night.standings[ticker]

    def _quoted(self, quote: Quote, *, bar_taken: bool) -> Quoted:
        return plan.quoted(
            quote,
            self._standing(quote.ticker),
            session=self._night.session,
            before=self._night.before,
            last_close=self._closes.get(quote.ticker),
            bar_taken=bar_taken,
        )

    def _refused(self, quote: Quote, rule: str) -> Quoted:
        self._night.refuse("quote", rule, quote.ticker)
        if self._night.context.refusals.is_due(quote.ticker, now_s=self._night.context.clock.monotonic_s()):
            log.warning("quote_refused", ticker=quote.ticker, rule=rule)
        return self._without(quote.ticker, f"refused: {rule}")

    def _without(self, ticker: str, outcome: str) -> Quoted:
        return plan.without_quote(self._standing(ticker), outcome)

    def _mark(self, rows: Sequence[Quoted]) -> None:
        mark_quoted(self._night.writer, rows, session_date=self._night.session.session_date)
        for row in rows:
            self._night.count(STAGE, row.quote, row.ticker)
            if row.bar is not None:
                self._night.count("bars", row.bar, row.ticker)
            if row.chart_need is not None:
                self._night.outcomes["needs", row.chart_need] += 1
