"""One recorded pass of quotes of the metrics scanner into the table: run row, sweep, writes, coverage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from core.errors import Unreachable
from core.logs import get_logger
from market.quality import agree, mixed_up, why_refused
from market.quotes import Quote
from market.sessions import Session
from scanners.context import Context, minute_of, reading
from scanners.lane import DirectLane
from scanners.sweep import Accept, Pass, Sweep, SweepResult
from storage.counts import read_confirmed
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.quotes import write_quotes
from storage.runs import finish_run, start_run
from storage.witness import read_prices
from storage.writer import Writer
from yahoo.quote import QuoteAnswer

log = get_logger(__name__)

GROUP: Literal["metrics"] = "metrics"
MakePass = Callable[[Accept], Pass]
REMEMBERED = timedelta(days=5)
"""The longest time between two sessions; a price that was confirmed before it is held against nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """How the pass ended: "complete", "partial" (some tickers still to be asked) or "failed" (none came).

    `failed`: tickers not asked in time, and those whose numbers were refused.
    """

    status: Literal["complete", "partial", "failed"]
    updated: int
    missing: int
    failed: int


class QuoteCycle:
    """Asks for `tickers` once and writes each batch as it comes.

    `make_pass`: another way to ask than by the lane alone; then what it accepts is believed.
    """

    def __init__(
        self,
        context: Context,
        writer: Writer,
        lane: DirectLane | None,
        *,
        session: Session | None,
        make_pass: MakePass | None = None,
    ) -> None:
        self._context, self._writer, self._lane = context, writer, lane
        self._session, self._make_pass = session, make_pass
        self._prices: Mapping[str, float] = {}
        self._refused: Counter[str] = Counter()
        self._updated: set[str] = set()

    async def run(self, tickers: Sequence[str], *, concurrency: int, deadline_s: float) -> CycleResult:
        """Run the pass and record it; what the database raises ends it."""
        run_id = await asyncio.to_thread(self._begin, len(tickers))
        sweep = self._pass()
        batch_size = self._context.settings.metrics.batch_size
        try:
            await sweep.run(tickers, batch_size=batch_size, concurrency=concurrency, deadline_s=deadline_s)
        except Unreachable:
            await self._finish(run_id, sweep)
            raise
        return await self._finish(run_id, sweep)

    def _pass(self) -> Pass:
        if self._make_pass is not None:
            return self._make_pass(self._accept)
        assert self._lane is not None
        return Sweep(self._context, self._lane, self._believe, stage=GROUP)

    async def _finish(self, run_id: int, swept: Pass) -> CycleResult:
        result = self._result(swept.result, self._expected)
        await asyncio.to_thread(self._end, run_id, result, swept)
        return result

    async def _believe(self, answer: QuoteAnswer) -> bool:
        """Write an answer, unless its prices are not those of the known market: its rows may be each other's."""
        known = [(quote.current_price, self._prices.get(quote.ticker)) for quote in answer.quotes]
        odd = sum(1 for price, held in known if price is not None and held is not None and not agree(price, held))
        if mixed_up(odd, len(known)):
            log.warning("quotes_contradict", tickers=len(known), odd=odd)
            return False
        await self._accept(answer)
        return True

    async def _accept(self, answer: QuoteAnswer) -> None:
        at = self._context.clock.utc_now()
        sound = [quote for quote in answer.quotes if self._is_sound(quote, at)]
        updated = await asyncio.to_thread(self._write, sound, at)
        self._updated |= updated
        self._refused += Counter(by_table=len(sound) - len(updated))
        self._refused["foreign"] += len(answer.foreign)
        self._context.pulse.coverage = {GROUP: asdict(self._counts(None))}

    def _is_sound(self, quote: Quote, at: datetime) -> bool:
        rule = why_refused(quote, at=at)
        if rule is not None:
            self._refused[rule] += 1
            if self._context.refusals.is_due(quote.ticker, now_s=self._context.clock.monotonic_s()):
                log.warning("quote_refused", ticker=quote.ticker, rule=rule)
        return rule is None

    def _write(self, quotes: Sequence[Quote], at: datetime) -> set[str]:
        """Write a batch; return the tickers that the table took."""
        opens_at = self._session.opens_at if self._session else None
        closes_at = self._session.closes_at if self._session else None
        written = write_quotes(
            self._writer, quotes, at=at, session_opens_at=opens_at, session_closes_at=closes_at
        ).written
        updated = {quote.ticker for quote in quotes}
        if written < len(updated):
            updated = self._writer.run(lambda tx: read_confirmed(tx, updated, at=at), source=GROUP)
        return updated

    def _sent_directly(self) -> int:
        return self._lane.requests if self._lane else 0

    def _begin(self, expected: int) -> int:
        self._expected, self._sent_before = expected, self._sent_directly()
        since = self._context.clock.utc_now() - REMEMBERED
        self._prices = reading(self._context, lambda engine: read_prices(engine, since=since))
        return start_run(
            self._writer,
            scanner=GROUP,
            session_date=self._session.session_date if self._session else self._context.session_date(),
            expected=expected,
            at=self._context.clock.utc_now(),
        )

    def _result(self, swept: SweepResult, total: int) -> CycleResult:
        status: Literal["complete", "partial", "failed"] = "complete" if swept.done == total else "partial"
        updated, missing = len(self._updated), len(swept.missing)
        return CycleResult(
            status=status if swept.done else "failed",
            updated=updated,
            missing=missing,
            failed=total - updated - missing,
        )

    def _counts(self, result: CycleResult | None) -> CoverageCounts:
        fresh, total = len(self._updated), self._expected
        no_trade = result.missing if result else 0  # listed here, unknown to the upstream
        return CoverageCounts(
            fresh=fresh, unchanged=0, no_trade=no_trade, unknown=total - fresh - no_trade, total=total
        )

    def _why(self, result: CycleResult, more: Mapping[str, Any]) -> dict[str, int]:
        """Return the tickers by reason: by which way they came, or why they did not."""
        refused = sum(count for rule, count in self._refused.items() if rule != "foreign")
        unverified = min(int(more.get("unverified", 0)), result.failed)
        reasons = {
            **{f"fresh_by_{way}": count for way, count in more.get("by", {}).items()},
            "unknown_to_yahoo": result.missing,
            "refused": min(refused, result.failed - unverified),
            "unverified": unverified,
        }
        reasons["not_answered_in_time"] = result.failed - unverified - reasons["refused"]
        return {reason: count for reason, count in reasons.items() if count}

    def _end(self, run_id: int, result: CycleResult, swept: Pass) -> None:
        now, counts = self._context.clock.utc_now(), self._counts(result)
        self._context.pulse.coverage = {GROUP: asdict(counts)}
        write_coverage_minute(self._writer, minute=minute_of(now), field_group=GROUP, counts=counts)
        more = swept.detail()
        detail = {
            "requests": swept.requests + self._sent_directly() - self._sent_before,
            "failures": swept.result.failures,
            "refused": self._refused,
            **more,
            "why": self._why(result, more),
            "missing": sorted(swept.result.missing)[:100],
        }
        finish_run(
            self._writer,
            run_id,
            status=result.status,
            updated=result.updated,
            failed=result.failed,
            skipped=result.missing,
            detail=detail,
            at=now,
        )
        log.info("cycle_finished", group=GROUP, status=result.status, **asdict(counts))
