"""The newest price of each ticker, between two flushes. Pure: time comes in, rows go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isclose
from typing import Literal

from msgspec.structs import replace

from market.quality import agree, jumps, why_tick_refused
from market.quotes import Quote, Tick
from market.sessions import PRICE_GRACE, Calendar, Session, is_price_time
from storage.prices import PriceRow

Kind = Literal["regular", "pre", "post"]
PRE, REGULAR, POST = 0, 1, 2
EXTENDED_HOURS = timedelta(hours=6)
"""Pre-market opens 04:00, post-market ends 20:00: nothing further from the session than this belongs to it."""
SAME_DAY = timedelta(hours=12)
"""A day's low and high say nothing of a trade further from them than this."""
SAME_PRICE = 1e-6
"""What two roundings of one price may differ by, relative."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A price too far from all that is known. `since_s`: when the first trade of its kind came (monotonic)."""

    tick: Tick
    since_s: float


@dataclass(slots=True)
class Seen:
    """What is known of one ticker: its newest trade in and outside the session, and what quotes said.

    `heard_s`, `quoted_s`: when the stream last spoke of it, and a quote (monotonic). `last_trade`: of any session.
    """

    price_time: datetime | None = None
    price: float | None = None
    doubt: Doubt | None = None
    extended_time: datetime | None = None
    heard_s: float | None = None
    waiting: dict[str, PriceRow] = field(default_factory=dict)
    quoted_s: float | None = None
    is_unlisted: bool = False
    """The quote endpoint was asked and left it out."""
    last_trade: datetime | None = None
    previous_close: float | None = None
    day: tuple[float, float] | None = None
    day_at: datetime | None = None
    odd_quote: float | None = None
    """What a quote said that nothing else supports."""
    quoted: PriceRow | None = None
    """A quote's price that waits for the flush."""


def sessions_at(calendar: Calendar, now: datetime) -> tuple[Session, ...]:
    """Return the session that is open, or was last, and the one to come: its first trade may meet a late clock."""
    current = calendar.session_at(now) or calendar.last_session(now)
    return tuple(session for session in (current, calendar.next_session(now)) if session is not None)


def kind_of(tick: Tick, sessions: Sequence[Session]) -> Kind | None:
    """Return which price of one of `sessions` this tick is, or None if it is none of them.

    The time alone decides within a session: flags follow the hour of sending and were seen wrong on a holiday. The
    flag decides beside it: at 16:05 both the closing auction and the first trade after it arrive.
    """
    at, flag = tick.price_time, tick.market_hours
    for session in sessions:
        if session.opens_at <= at < session.closes_at:
            return "regular"
    for session in sessions:
        if flag == REGULAR and session.closes_at <= at <= session.closes_at + PRICE_GRACE:
            return "regular"
        if flag == PRE and session.opens_at - EXTENDED_HOURS <= at < session.opens_at:
            return "pre"
        if flag == POST and session.closes_at <= at <= session.closes_at + EXTENDED_HOURS:
            return "post"
    return None


class PriceBook:
    """Keeps one row a ticker and kind: newer exchange times replace older ones, never the other way round.

    `hold_s`: for so long a jump waits for a quote before a second trade may confirm it; None: no quotes are asked.
    """

    def __init__(self, tickers: Iterable[str], *, hold_s: float | None = None) -> None:
        self.seen: dict[str, Seen] = {ticker: Seen() for ticker in tickers}
        self.refused: Counter[str] = Counter()
        self.audited: Counter[str] = Counter()
        self.doubtful: dict[str, None] = {}
        """Tickers whose held price wants a quote, the longest waiting first."""
        self._hold_s = hold_s
        self._changed: set[str] = set()
        self._quoted: set[str] = set()

    def offer(self, tick: Tick, sessions: Sequence[Session], *, now: datetime, now_s: float) -> Kind | None:
        """Take a tick of one of `sessions`, heard `now`, in; return as which price, or None and count why not."""
        seen = self.seen.get(tick.ticker)
        if seen is None:
            self.refused["unknown_ticker"] += 1
            return None
        if (rule := why_tick_refused(tick, at=now)) is not None:
            self.refused[rule] += 1
            return None
        seen.heard_s = now_s  # even an old snapshot proves that the subscription works
        kind = kind_of(tick, sessions)
        if kind is None:
            self.refused["outside_session"] += 1
            seen.last_trade = max(seen.last_trade or tick.price_time, tick.price_time)
            return None
        newest = seen.price_time if kind == "regular" else seen.extended_time
        if newest is not None and tick.price_time < newest:
            self.refused["older"] += 1
            return None
        if kind == "regular" and not self._is_believed(tick, seen, now_s):
            return None
        self._accept(tick, seen, kind)
        return kind

    def _accept(self, tick: Tick, seen: Seen, kind: Kind) -> None:
        if kind == "regular":
            seen.price_time, seen.price = tick.price_time, tick.price
            seen.quoted = None
        else:
            seen.extended_time = tick.price_time
        seen.waiting[kind] = PriceRow(
            ticker=tick.ticker,
            price_usd=tick.price,
            change=tick.change,
            change_percent=tick.change_percent,
            price_time=tick.price_time,
            kind=kind,
        )
        self._changed.add(tick.ticker)

    def _is_believed(self, tick: Tick, seen: Seen, now_s: float) -> bool:
        """Hold a jump back until a quote or a later trade is near it: a reopening after a halt is confirmed soon."""
        doubt = seen.doubt
        if not self._is_jump(tick, seen):
            if doubt is not None:
                self._drop(tick.ticker, seen)
            return True
        if doubt is not None and tick.price_time == doubt.tick.price_time:
            return False  # the same trade told again
        if doubt is None or not agree(tick.price, doubt.tick.price):
            if doubt is not None:
                self._drop(tick.ticker, seen)
            seen.doubt = Doubt(tick, now_s)
            self.doubtful[tick.ticker] = None
            return False
        if self._hold_s is not None and now_s - doubt.since_s < self._hold_s:
            seen.doubt = Doubt(tick, doubt.since_s)
            return False
        self._end_doubt(tick.ticker, seen)
        return True

    def _is_jump(self, tick: Tick, seen: Seen) -> bool:
        previous_close = seen.previous_close
        if seen.price is None and previous_close is None and self._hold_s is not None and tick.change is not None:
            previous_close = tick.price - tick.change
        near = seen.day_at is not None and abs(tick.price_time - seen.day_at) <= SAME_DAY
        day = seen.day if near else None
        return jumps(tick.price, last=seen.price, previous_close=previous_close, day=day)

    def _drop(self, ticker: str, seen: Seen) -> None:
        self.refused["jump"] += 1
        self._end_doubt(ticker, seen)

    def _end_doubt(self, ticker: str, seen: Seen) -> None:
        seen.doubt = seen.odd_quote = None
        self.doubtful.pop(ticker, None)

    def contradicts(self, quote: Quote) -> bool:
        """Whether a quote is not of the market that is known of its ticker: a few may be, of one answer no two."""
        seen, price = self.seen[quote.ticker], quote.current_price
        known = _known_prices(seen)
        return bool(known) and price is not None and not any(agree(price, each) for each in known)

    def hold_quote(self, quote: Quote) -> None:
        """Believe this quote only if a second one says the same."""
        self.audited["jump_held"] += 1
        self.seen[quote.ticker].odd_quote = quote.current_price
        self.doubtful[quote.ticker] = None

    def offer_quote(self, quote: Quote, sessions: Sequence[Session], *, now_s: float) -> None:
        """Hold a sound quote against what is known: confirm, correct, end a doubt; count what it came to."""
        seen, at, price = self.seen[quote.ticker], quote.price_time, quote.current_price
        seen.is_unlisted = False
        if at is None or price is None:
            self.audited["without_price"] += 1
            return
        known = _known_prices(seen)
        if known and all(jumps(price, last=each) for each in known):
            self.hold_quote(quote)
            return
        self._learn(quote, seen, at)
        self._judge_doubt(quote, seen, at, price)
        if seen.price_time is not None and at < seen.price_time:
            self.audited["older"] += 1
            return
        seen.quoted_s = now_s
        self.audited[_verdict(seen, at, price)] += 1
        if any(is_price_time(session, at) for session in sessions) and _is_same(seen, at, price):
            return  # a confirmation: the stream's row stays the stream's
        self._accept_quote(quote, seen, at, price)

    def _learn(self, quote: Quote, seen: Seen, at: datetime) -> None:
        seen.odd_quote = None
        if seen.doubt is None:
            self.doubtful.pop(quote.ticker, None)
        seen.previous_close = quote.previous_close or seen.previous_close
        if quote.days_low is not None and quote.days_high is not None:
            seen.day, seen.day_at = (quote.days_low, quote.days_high), at

    def _accept_quote(self, quote: Quote, seen: Seen, at: datetime, price: float) -> None:
        seen.price_time, seen.price = at, price
        seen.waiting.pop("regular", None)
        seen.quoted = PriceRow(
            ticker=quote.ticker,
            price_usd=price,
            change=quote.price_change,
            change_percent=quote.price_change_percent,
            price_time=at,
        )
        self._quoted.add(quote.ticker)

    def _judge_doubt(self, quote: Quote, seen: Seen, at: datetime, price: float) -> None:
        if seen.doubt is None:
            return
        tick = seen.doubt.tick
        if agree(price, tick.price) or not self._is_jump(tick, seen):
            self.audited["jump_confirmed"] += 1
            self._end_doubt(tick.ticker, seen)
            self._accept(tick, seen, "regular")
        elif at >= tick.price_time:
            self.audited["jump_denied"] += 1
            self._drop(tick.ticker, seen)

    def left_out(self, ticker: str) -> None:
        """Note that the quote endpoint was asked for `ticker` and did not speak of it."""
        self.seen[ticker].is_unlisted = True
        self.audited["unlisted"] += 1

    def take(self) -> list[PriceRow]:
        """Return what the stream changed since the last call, sorted by ticker, and forget it."""
        rows = [row for ticker in sorted(self._changed) for row in self.seen[ticker].waiting.values()]
        for ticker in self._changed:
            self.seen[ticker].waiting.clear()
        self._changed.clear()
        return rows

    def take_quotes(self) -> list[PriceRow]:
        """Return what quotes changed since the last call, sorted by ticker, and forget it."""
        waiting = [(ticker, self.seen[ticker]) for ticker in sorted(self._quoted)]
        rows = [seen.quoted for _, seen in waiting if seen.quoted is not None]
        for _, seen in waiting:
            seen.quoted = None
        self._quoted.clear()
        return rows

    def give_back(self, rows: Iterable[PriceRow], *, heard_at: datetime) -> None:
        """Keep rows that could not be written for the next flush, unless something newer has come since.

        They were heard before `heard_at`: when the database is back they must not be called confirmed at that moment.
        """
        for row in rows:
            waiting = self.seen[row.ticker].waiting
            if row.kind not in waiting:
                waiting[row.kind] = row if row.heard_at else replace(row, heard_at=heard_at)
                self._changed.add(row.ticker)

    def give_quotes_back(self, rows: Iterable[PriceRow], *, heard_at: datetime) -> None:
        """The same for rows of `take_quotes`."""
        for row in rows:
            seen = self.seen[row.ticker]
            if seen.quoted is None and seen.price_time == row.price_time:
                seen.quoted = row if row.heard_at else replace(row, heard_at=heard_at)
                self._quoted.add(row.ticker)


def _known_prices(seen: Seen) -> list[float]:
    doubted = seen.doubt.tick.price if seen.doubt is not None else None
    return [each for each in (seen.price, doubted, seen.odd_quote) if each is not None]


def _is_same(seen: Seen, at: datetime, price: float) -> bool:
    return seen.price_time == at and seen.price is not None and isclose(seen.price, price, rel_tol=SAME_PRICE)


def _verdict(seen: Seen, at: datetime, price: float) -> str:
    """Return what a quote that is not older says of the price that is known."""
    if seen.price_time is None:
        return "first"
    if at > seen.price_time:
        return "newer"
    return "confirmed" if _is_same(seen, at, price) else "different"
