"""What each ticker still needs of a session's refresh, and in which order. Pure: asks nothing, reads no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from typing import Literal

from market.quotes import Quote
from market.sessions import Calendar, Session, is_price_of
from storage.daily_bars import DailyBar
from storage.daily_progress import Quoted, Standing

Need = Literal["new", "gap", "previous_close", "dividend"]
"""Why a chart is asked for: no bars yet, sessions missing, the past rewritten (a split), a dividend paid since."""
SAME_SHARE = 0.0005
"""Of a price, by which two spellings of one close may differ; the smallest split moves it by twenty times as much."""
SAME_USD = 0.0051
"""And in money: a quote's previous close may be rounded to cents."""
DONE = "done"
WRITTEN, NO_TRADE = "written", "no_trade"
HAS_BAR = (WRITTEN, NO_TRADE)
"""What a quote comes to if the table needs no chart for the session's bar."""
LATE = 0.1
"""Share of the tickers whose bar of the session may wait for a chart: the bars are in all the same."""
MOST_NAMED = 60
"""Missed sessions: of a machine that was off for longer, the newest are named."""


@dataclass(frozen=True, slots=True)
class Left:
    """Tickers still to be asked, each stage in the order of need: never, longest ago, most liquid."""

    quotes: tuple[str, ...]
    fundamentals: tuple[str, ...]
    charts: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.quotes or self.fundamentals or self.charts)


def left_of(standings: Iterable[Standing], session_date: date) -> Left:
    """Return what is still to be asked for the session; what an earlier start has done is done."""
    held = list(standings)
    quoted = [each for each in held if each.session == session_date and each.quote is not None]
    return Left(
        quotes=_by_need(set(held).difference(quoted), lambda each: None),
        fundamentals=_by_need(
            (each for each in quoted if each.fundamentals is None), lambda each: each.fundamentals_at
        ),
        charts=_by_need(
            (each for each in quoted if each.chart_need is not None and each.chart is None),
            lambda each: each.chart_at,
        ),
    )


def bars_are_in(standings: Sequence[Standing], left: Left) -> bool:
    """Whether the session's bars are in the table: all quotes are, and hardly a bar waits for a chart."""
    waiting = set(left.charts)
    late = sum(1 for each in standings if each.ticker in waiting and each.bar not in HAS_BAR)
    return not left.quotes and late <= LATE * len(standings)


def has_traded(standing: Standing, session_date: date) -> bool:
    """Whether the session's bar is in the table, by the quote or by the chart."""
    by_chart = standing.bar != NO_TRADE and standing.bars_through == session_date
    return standing.bar == WRITTEN or by_chart


@dataclass(frozen=True, slots=True)
class Tally:
    """Tickers of a session: with all they need, with a reason why there is none, still to be asked."""

    updated: int
    named: int
    left: int


def tally(standings: Iterable[Standing], session_date: date) -> Tally:
    held = list(standings)
    left = set().union(*astuple(left_of(held, session_date)))
    rest = [each for each in held if each.ticker not in left]
    named = sum(1 for each in rest if each.fundamentals != DONE)
    return Tally(updated=len(rest) - named, named=named, left=len(left))


def requests_ahead(standings: Iterable[Standing], session_date: date, *, before: date | None, batch_size: int) -> int:
    """Return how many requests the rest of the session takes, as far as can be known before its quotes are."""
    held = list(standings)
    left = left_of(held, session_date)
    to_quote = set(left.quotes)
    unasked = [each for each in held if each.ticker in to_quote]
    charts = sum(1 for each in unasked if each.bars_through is None or (before and each.bars_through < before))
    return -(-len(unasked) // batch_size) + len(unasked) + len(left.fundamentals) + charts + len(left.charts)


def _by_need(standings: Iterable[Standing], asked_at: Callable[[Standing], datetime | None]) -> tuple[str, ...]:
    def key(each: Standing) -> tuple[date, float, str]:
        at = asked_at(each)
        return (at.date() if at else date.min, -(each.dollar_volume_usd or 0.0), each.ticker)

    return tuple(each.ticker for each in sorted(standings, key=key))


def bar_of(quote: Quote, session: Session, calendar: Calendar) -> DailyBar | None:
    """Return the session's bar from a quote asked after the close, or None if the ticker did not trade in it."""
    if quote.price_time is None or not is_price_of(session, quote.price_time, calendar) or not quote.volume:
        return None
    opened, high, low, close = quote.open_price, quote.days_high, quote.days_low, quote.current_price
    if opened is None or high is None or low is None or close is None:
        return None
    return DailyBar(
        ticker=quote.ticker,
        session_date=session.session_date,
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=None,
        volume=quote.volume,
        source="quote",
    )


def quoted(
    quote: Quote,
    standing: Standing,
    *,
    session: Session,
    before: date | None,
    last_close: float | None,
    bar_taken: bool,
) -> Quoted:
    """Return what a quote has come to. `before`: the session before; `bar_taken`: its bar is in the table."""
    later = quote.price_time is not None and quote.price_time >= session.opens_at
    bar = WRITTEN if bar_taken else "of_another_session" if later else NO_TRADE
    need = _chart_need(quote, standing, session=session, before=before, last_close=last_close, bar_taken=bar_taken)
    if need is None and bar == "of_another_session":
        need = "gap"  # asked after the next open, or its numbers make no bar: only a chart can tell
    through = session.session_date if need is None else None
    return Quoted(ticker=quote.ticker, quote=DONE, bar=bar, chart_need=need, bars_through=through)


def without_quote(standing: Standing, outcome: str) -> Quoted:
    """Return what becomes of a ticker whose quote is absent or not to be believed: a chart has to tell of the day.

    And, of one that Yahoo's quotes do not know, whether it is delisted.
    """
    need = "new" if standing.bars_through is None else "gap"
    return Quoted(ticker=standing.ticker, quote=outcome, chart_need=need)


def _chart_need(
    quote: Quote,
    standing: Standing,
    *,
    session: Session,
    before: date | None,
    last_close: float | None,
    bar_taken: bool,
) -> Need | None:
    through = standing.bars_through
    if through is None:
        return "new"
    if before is not None and through < before:
        return "gap"
    named = quote.previous_close
    if bar_taken and named is not None and last_close is not None and not same_price(named, last_close):
        return "previous_close"
    return dividend_need(standing.ex_dividend_date, through, session.session_date)


def dividend_need(ex_date: date | None, through: date | None, session_date: date) -> Need | None:
    """Return "dividend" if shares went without one after the stored bars: their adjusted closes are others now."""
    is_paid = ex_date is not None and through is not None and through < ex_date <= session_date
    return "dividend" if is_paid else None


def same_price(one: float, other: float) -> bool:
    return abs(one - other) <= max(SAME_USD, SAME_SHARE * max(one, other))


def session_before(calendar: Calendar, session: Session) -> date | None:
    """Return the date of the session before; None if the calendar begins with this one."""
    before = calendar.last_session(session.opens_at)
    return before.session_date if before else None


def missed(calendar: Calendar, session: Session, *, last_done: date | None) -> list[date]:
    """Return the sessions since the last refreshed one that nobody refreshed, oldest first; none at the first start."""
    found: list[date] = []
    each = calendar.last_session(session.opens_at) if last_done else None
    while each is not None and last_done is not None and last_done < each.session_date and len(found) < MOST_NAMED:
        found.append(each.session_date)
        each = calendar.last_session(each.opens_at)
    return found[::-1]
