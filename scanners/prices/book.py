"""The newest price of each ticker, between two flushes. Pure: time comes in, rows go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from market.quality import why_tick_refused
from market.quotes import Tick
from market.sessions import PRICE_GRACE, Session
from storage.coverage import CoverageCounts
from storage.prices import PriceRow

Kind = Literal["regular", "pre", "post"]
PRE, REGULAR, POST = 0, 1, 2
EXTENDED_HOURS = timedelta(hours=6)
"""Pre-market opens 04:00, post-market ends 20:00: nothing further from the session than this belongs to it."""


@dataclass(slots=True)
class Seen:
    """What is known of one ticker: its newest trade in and outside the session, when it was last heard (monotonic)."""

    price_time: datetime | None = None
    price: float | None = None
    doubted: Tick | None = None
    """A price too far from the last one to be believed before a second trade agrees."""
    extended_time: datetime | None = None
    heard_s: float | None = None
    waiting: dict[str, PriceRow] = field(default_factory=dict)


JUMP = 1.5
"""From one trade to the next a price seldom moves by more than half of itself."""
AGREEMENT = 1.2


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def kind_of(tick: Tick, sessions: Sequence[Session]) -> Kind | None:
    """Return which price of one of `sessions` this tick is, or None if it is none of them.

    The time alone decides within a session: flags follow the hour of sending and were seen wrong on a holiday. The
    flag decides beside it: at 16:05 both the closing auction and the first trade after it arrive.
    """
    at, flag = tick.price_time, tick.market_hours
    if any(session.opens_at <= at < session.closes_at for session in sessions):
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
    """Keeps one row a ticker and kind: newer exchange times replace older ones, never the other way round."""

    def __init__(self, tickers: Iterable[str]) -> None:
        self.seen: dict[str, Seen] = {ticker: Seen() for ticker in tickers}
        self.refused: Counter[str] = Counter()
        self._changed: set[str] = set()

    def offer(self, tick: Tick, sessions: Sequence[Session], *, now: datetime, now_s: float) -> None:
        """Take a tick of one of `sessions`, heard `now`, in, or count why not."""
        seen = self.seen.get(tick.ticker)
        if seen is None:
            self.refused["unknown_ticker"] += 1
            return
        if (rule := why_tick_refused(tick, at=now)) is not None:
            self.refused[rule] += 1
            return
        seen.heard_s = now_s  # even an old snapshot proves that the subscription works
        kind = kind_of(tick, sessions)
        if kind is None:
            self.refused["outside_session"] += 1
            return
        newest = seen.price_time if kind == "regular" else seen.extended_time
        if newest is not None and tick.price_time < newest:
            self.refused["older"] += 1
            return
        if kind == "regular":
            if not self._is_believed(tick, seen):
                return
            seen.price_time, seen.price = tick.price_time, tick.price
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

    def _is_believed(self, tick: Tick, seen: Seen) -> bool:
        """Hold a jump back until a later trade is near it: a reopening after a halt is confirmed in seconds."""
        doubted = seen.doubted
        jumps = seen.price is not None and _ratio(tick.price, seen.price) > JUMP
        if jumps and doubted is not None and tick.price_time == doubted.price_time:
            return False  # the same trade told again
        if jumps and doubted is not None and _ratio(tick.price, doubted.price) <= AGREEMENT:
            doubted, jumps = None, False
        if doubted is not None:
            self.refused["jump"] += 1
        seen.doubted = tick if jumps else None
        return not jumps

    def take(self) -> list[PriceRow]:
        """Return what changed since the last call, sorted by ticker, and forget it."""
        rows = [row for ticker in sorted(self._changed) for row in self.seen[ticker].waiting.values()]
        for ticker in self._changed:
            self.seen[ticker].waiting.clear()
        self._changed.clear()
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


def _traded(seen: Seen, session_opens_at: datetime | None) -> bool:
    return seen.price_time is not None and session_opens_at is not None and seen.price_time >= session_opens_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many tickers: traded in the last cycle; confirmed as they were; without a trade this session; not known."""

    counts: CoverageCounts
    unchanged_tickers: tuple[str, ...]


def coverage(
    book: PriceBook, proven: Mapping[str, float], *, session_opens_at: datetime | None, now: datetime, cycle_s: float
) -> Coverage:
    """Sort each ticker by what is known of it.

    `proven`: tickers on connections whose canary is heard -> when the connection opened (monotonic). Unchanged is one
    that has traded in this session and was heard since then: its price in the table is the one that was confirmed.
    """
    fresh, no_trade, unknown = 0, 0, 0
    unchanged: list[str] = []
    for ticker, seen in book.seen.items():
        if seen.price_time is not None and (now - seen.price_time).total_seconds() <= cycle_s:
            fresh += 1
        elif ticker not in proven:
            unknown += 1
        elif _traded(seen, session_opens_at) and seen.heard_s is not None and seen.heard_s >= proven[ticker]:
            unchanged.append(ticker)
        else:
            no_trade += 1
    counts = CoverageCounts(
        fresh=fresh, unchanged=len(unchanged), no_trade=no_trade, unknown=unknown, total=len(book.seen)
    )
    return Coverage(counts=counts, unchanged_tickers=tuple(unchanged))
