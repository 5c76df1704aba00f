"""The second stage: one quoteSummary a ticker, each ending in a row or a named reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from market.fundamentals import Decoded, nothing_said
from scanners.daily import plan
from scanners.daily.night import Night, each
from scanners.daily.outbox import Outbox
from storage.daily_progress import Answered, mark_fundamentals
from storage.profiles import write_fundamentals
from yahoo.quote import BadAnswer, Refused
from yahoo.summary_fields import MODULES, WHERE, decode

STAGE = "fundamentals"
SAYS = (200, 404)
NOT_BELIEVED = frozenset({"foreign", "unnamed", "currency"})
NOTHING = frozenset({"no_fundamentals", "no_modules", "empty"})
"""Yahoo knows the ticker and nothing of its company: an answer like another, of which all fields are absent."""


class Fundamentals:
    """Asks for the fundamentals of tickers in the order of need."""

    def __init__(self, night: Night) -> None:
        self._night = night
        self._outbox: Outbox[tuple[Answered, Decoded | None]] = Outbox(night.context, self._write)

    async def run(self, tickers: Sequence[str]) -> None:
        await each(self._night, tickers, self._one, stage=STAGE)

    async def _one(self, ticker: str) -> None:
        night = self._night
        decoded: Decoded | None = None
        try:
            decoded = await night.asker.patiently(lambda: self._ask(ticker))
            outcome = plan.DONE
        except Refused as said:
            outcome = said.reason
            if outcome in NOT_BELIEVED:
                night.refuse("summary", outcome, ticker)
        except BadAnswer:
            outcome = "bad_answer"
        night.answered()
        at = night.context.clock.utc_now()
        if outcome in NOTHING:
            decoded = nothing_said(ticker)
        need = self._need(ticker, decoded)
        await self._outbox.put((Answered(ticker=ticker, outcome=outcome, at=at, chart_need=need), decoded))

    async def _ask(self, ticker: str) -> Decoded:
        """Ask once; Refused for what Yahoo says of the ticker, BadAnswer for what is no answer."""
        params = {"modules": ",".join(MODULES), "formatted": "false", "corsDomain": "finance.yahoo.com"}
        answer = await self._night.asker.get(WHERE + ticker, params, with_crumb=True)
        if answer.status not in SAYS:
            raise BadAnswer(f"status {answer.status}", where=WHERE + ticker)
        return decode(answer.body, asked=ticker, at=self._night.context.clock.utc_now())

    def _need(self, ticker: str, decoded: Decoded | None) -> str | None:
        """Return "dividend" if the answer tells of one that the stored bars do not know."""
        if decoded is None:
            return None
        standing = self._night.standings[ticker]
        session_date, ex_date = self._night.session.session_date, decoded.fundamentals.ex_dividend_date
        if ex_date is not None and standing.ex_dividend_date not in (None, ex_date) and ex_date <= session_date:
            return "dividend"  # told only now, may be days late
        through = self._night.before if standing.bars_through == session_date else None
        return plan.dividend_need(ex_date, through, session_date)

    def _write(self, answers: Sequence[tuple[Answered, Decoded | None]]) -> None:
        night = self._night
        told = [decoded for _, decoded in answers if decoded is not None]
        at: datetime = max(answered.at for answered, _ in answers)
        result = write_fundamentals(
            night.writer,
            told,
            at=at,
            session_date=night.session.session_date,
            drop_after_days=night.context.settings.daily.drop_after_days,
        )
        rows = [
            replace(answered, outcome="contradicts") if answered.ticker in result.contradicting else answered
            for answered, _ in answers
        ]
        mark_fundamentals(night.writer, rows, session_date=night.session.session_date)
        night.tell_refusals("summary")
        for row in rows:
            night.count(STAGE, row.outcome, row.ticker)
