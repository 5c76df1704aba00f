"""The third stage: a chart for each ticker that needs one, compared with the stored bars and merged into them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from market.bar_faults import find_faults
from market.bars import DayBar
from scanners.daily.asker import Asker
from scanners.daily.history import Verdict, verdict
from scanners.daily.night import Night, each
from scanners.daily.outbox import Outbox
from storage.daily_progress import Answered, mark_charts
from storage.histories import read_history, replace_histories
from storage.listings import find_former, note_delisted, rename
from yahoo.chart import url_of
from yahoo.chart_history import INTERVAL, History, parse_history
from yahoo.quote import BadAnswer, Refused

STAGE = "charts"
SAYS = (200, 400, 404, 422)
DELISTED = "delisted"
DAYS_A_SESSION = 365.25 / 251
"""251 sessions a year is the fewest there are."""
MARGIN_DAYS = 7


class Charts:
    """Asks for the charts of tickers in the order of need, always for the whole history that is kept."""

    def __init__(self, night: Night) -> None:
        self._night = night
        self._outbox: Outbox[tuple[Answered, Verdict | None]] = Outbox(night.context, self._write)
        self._delisted: list[str] = []
        self._is_first_fill = all(standing.bars_through is None for standing in night.standings.values())

    async def run(self, tickers: Sequence[str]) -> None:
        await each(self._night, tickers, self._one, stage=STAGE)
        if self._delisted:
            night = self._night
            await asyncio.to_thread(
                note_delisted,
                night.writer,
                self._delisted,
                session_date=night.session.session_date,
                at=night.context.clock.utc_now(),
            )

    async def _one(self, ticker: str) -> None:
        night, through = self._night, self._night.session.session_date
        found: Verdict | None = None
        try:
            history = await self.ask(ticker)
            bars = self._sound_bars(ticker, history)
            stored = await asyncio.to_thread(read_history, night.engine, ticker)
            found = verdict(stored, bars, through=through)
            if found.past == "first" and not self._is_first_fill:
                await asyncio.to_thread(self._take_over, ticker, found)
            outcome: str = found.past
        except Refused as said:
            outcome = said.reason
            if outcome == DELISTED:
                self._delisted.append(ticker)
        except BadAnswer:
            outcome = "bad_answer"
        night.answered()
        is_told = found is not None and found.past != "too_short"
        answered = Answered(
            ticker=ticker,
            outcome=outcome,
            at=night.context.clock.utc_now(),
            bars_through=through if is_told else None,
        )
        await self._outbox.put((answered, found))
        night.count(STAGE, outcome, ticker)

    async def ask(self, ticker: str) -> History:
        """Return the ticker's chart, patiently; Refused for what Yahoo says of it, BadAnswer if nothing else comes."""
        night = self._night
        days = night.context.settings.daily.history_days * DAYS_A_SESSION + MARGIN_DAYS
        span = night.session.opens_at - timedelta(days=days), night.session.closes_at
        return await night.asker.patiently(lambda: ask_once(night.asker, ticker, span))

    def _sound_bars(self, ticker: str, history: History) -> list[DayBar]:
        """Return the bars that are believed; Refused if the newest is of another scale than the ticker's price."""
        night = self._night
        for rule, number in history.faults.items():
            night.refuse("chart", rule, ticker, number=number)
        price = night.standings[ticker].current_price
        faults = find_faults(history.bars, history.splits, history.dividends, reference=price)
        for on, rule in faults.items():
            night.refuse("chart", rule, f"{ticker} {on}")
        if history.bars and history.bars[-1].session_date in faults:
            raise Refused("unsound", where=url_of(ticker))
        return [bar for bar in history.bars if bar.session_date not in faults]

    def _take_over(self, ticker: str, found: Verdict) -> None:
        """Let a new ticker go on as the one whose past it has, if one went missing."""
        night, on = self._night, self._night.session.session_date
        former = find_former(night.engine, ticker, found.rows, session_date=on)
        if former is not None:
            rename(night.writer, former, ticker, session_date=on, at=night.context.clock.utc_now())

    def _write(self, answers: Sequence[tuple[Answered, Verdict | None]]) -> None:
        night = self._night
        for keep_older in (True, False):
            rows = [
                (answered.ticker, found.rows)
                for answered, found in answers
                if found and found.rows and (found.past != "reloaded") is keep_older
            ]
            replace_histories(night.writer, rows, keep_older=keep_older)
        mark_charts(night.writer, [answered for answered, _ in answers], session_date=night.session.session_date)
        night.tell_refusals("chart")


async def ask_once(asker: Asker, ticker: str, span: tuple[datetime, datetime]) -> History:
    """Ask for the bars, splits and dividends of a span of time by one request."""
    first, last = (str(int(at.timestamp())) for at in span)
    params = {"period1": first, "period2": last, "interval": INTERVAL, "events": "div,split"}
    answer = await asker.get(url_of(ticker), params, with_crumb=False)
    if answer.status not in SAYS:
        raise BadAnswer(f"status {answer.status}", where=url_of(ticker))
    return parse_history(answer.body, asked=ticker)
