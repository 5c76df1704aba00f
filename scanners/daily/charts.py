"""The third stage: a chart for each ticker that needs one, compared with the stored bars and merged into them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from market.bar_faults import find_faults
from market.bars import DayBar
from scanners.daily.asker import Asker
from scanners.daily.history import Verdict, verdict
from scanners.daily.night import Night, each
from scanners.daily.outbox import Outbox
from storage.daily_progress import Answered, mark_charts
from storage.histories import read_histories, replace_histories
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a request of `at` brought: the bars that are believed, or why there are none."""

    ticker: str
    at: datetime
    bars: Sequence[DayBar] | None
    ended: str


class Charts:
    """Asks for the charts of tickers in the order of need, always for the whole history that is kept."""

    def __init__(self, night: Night) -> None:
        self._night = night
        self._outbox: Outbox[_Told] = Outbox(night.context, self._write)
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
        bars, ended = None, ""
        try:
            bars = self._sound_bars(ticker, await self.ask(ticker))
        except Refused as said:
            ended = said.reason
            if ended == DELISTED:
                self._delisted.append(ticker)
        except BadAnswer:
            ended = "bad_answer"
        self._night.answered()
        await self._outbox.put(_Told(ticker=ticker, at=self._night.context.clock.utc_now(), bars=bars, ended=ended))

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

    def _write(self, told: Sequence[_Told]) -> None:
        night = self._night
        found = self._verdicts(told)
        for keep_older in (True, False):
            rows = [
                (ticker, each.rows)
                for ticker, each in found.items()
                if each.rows and (each.past != "reloaded") is keep_older
            ]
            replace_histories(night.writer, rows, keep_older=keep_older)
        answers = [self._answered(each, found.get(each.ticker)) for each in told]
        mark_charts(night.writer, answers, session_date=night.session.session_date)
        night.tell_refusals("chart")
        for answer in answers:
            night.count(STAGE, answer.outcome, answer.ticker)

    def _verdicts(self, told: Sequence[_Told]) -> dict[str, Verdict]:
        """Return what each chart means for the stored bars; a new ticker first takes over the past it has."""
        night, through = self._night, self._night.session.session_date
        bars = {each.ticker: each.bars for each in told if each.bars is not None}
        stored = read_histories(night.engine, bars)
        found = {ticker: verdict(stored[ticker], bars[ticker], through=through) for ticker in bars}
        if not self._is_first_fill:
            for ticker, each in found.items():
                if each.past == "first":
                    self._take_over(ticker, each)
        return found

    def _take_over(self, ticker: str, found: Verdict) -> None:
        """Let a new ticker go on as the one whose past it has, if one went missing."""
        night, on = self._night, self._night.session.session_date
        former = find_former(night.engine, ticker, found.rows, session_date=on)
        if former is not None:
            rename(night.writer, former, ticker, session_date=on, at=night.context.clock.utc_now())

    def _answered(self, told: _Told, found: Verdict | None) -> Answered:
        is_told = found is not None and found.past != "too_short"
        return Answered(
            ticker=told.ticker,
            outcome=found.past if found is not None else told.ended,
            at=told.at,
            bars_through=self._night.session.session_date if is_told else None,
        )


async def ask_once(asker: Asker, ticker: str, span: tuple[datetime, datetime]) -> History:
    """Ask for the bars, splits and dividends of a span of time by one request."""
    first, last = (str(int(at.timestamp())) for at in span)
    params = {"period1": first, "period2": last, "interval": INTERVAL, "events": "div,split"}
    answer = await asker.get(url_of(ticker), params, with_crumb=False)
    if answer.status not in SAYS:
        raise BadAnswer(f"status {answer.status}", where=url_of(ticker))
    return parse_history(answer.body, asked=ticker)
