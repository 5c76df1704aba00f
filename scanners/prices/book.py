"""The newest price of each ticker, between two flushes. Pure: time comes in, rows go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

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
    """What is known of one ticker: its newest trade, and when it was last heard (monotonic)."""

    price_time: datetime | None = None
    heard_s: float | None = None
    waiting: dict[str, PriceRow] = field(default_factory=dict)


def kind_of(tick: Tick, session: Session) -> Kind | None:
    """Return which price of `session` this tick is, or None if it is none of them.

    The time decides which session, the source's flag only between trades inside a session's window: at 16:05 both the
    closing auction and the first trade after it arrive.
    """
    at, flag = tick.price_time, tick.market_hours
    if flag == REGULAR and session.opens_at <= at <= session.closes_at + PRICE_GRACE:
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

    def offer(self, tick: Tick, session: Session | None, *, now_s: float) -> None:
        """Take a tick in, or count why not."""
        seen = self.seen.get(tick.ticker)
        if seen is None:
            self.refused["unknown_ticker"] += 1
            return
        seen.heard_s = now_s  # even an old snapshot proves that the subscription works
        kind = kind_of(tick, session) if session else None
        if kind is None:
            self.refused["outside_session"] += 1
            return
        if kind == "regular":
            if seen.price_time is not None and tick.price_time < seen.price_time:
                self.refused["older"] += 1
                return
            seen.price_time = tick.price_time
        held = seen.waiting.get(kind)
        if held is not None and tick.price_time < held.price_time:
            self.refused["older"] += 1
            return
        seen.waiting[kind] = PriceRow(
            ticker=tick.ticker,
            price_usd=tick.price,
            change=tick.change,
            change_percent=tick.change_percent,
            price_time=tick.price_time,
            kind=kind,
        )
        self._changed.add(tick.ticker)

    def take(self) -> list[PriceRow]:
        """Return what changed since the last call, sorted by ticker, and forget it."""
        rows = [row for ticker in sorted(self._changed) for row in self.seen[ticker].waiting.values()]
        for ticker in self._changed:
            self.seen[ticker].waiting.clear()
        self._changed.clear()
        return rows

    def give_back(self, rows: Iterable[PriceRow]) -> None:
        """Keep rows that could not be written for the next flush, unless something newer has come since."""
        for row in rows:
            waiting = self.seen[row.ticker].waiting
            if row.kind not in waiting:
                waiting[row.kind] = row
                self._changed.add(row.ticker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many tickers were, in the last cycle: traded; known to be unchanged; never heard; not known."""

    counts: CoverageCounts
    unchanged_tickers: tuple[str, ...]


def coverage(book: PriceBook, proven: set[str], *, now: datetime, cycle_s: float) -> Coverage:
    """Sort each ticker by what is known of it. `proven`: tickers on connections whose canary is heard."""
    fresh, no_trade, unknown = 0, 0, 0
    unchanged: list[str] = []
    for ticker, seen in book.seen.items():
        if seen.price_time is not None and (now - seen.price_time).total_seconds() <= cycle_s:
            fresh += 1
        elif ticker not in proven:
            unknown += 1
        elif seen.heard_s is not None:
            unchanged.append(ticker)
        else:
            no_trade += 1
    counts = CoverageCounts(
        fresh=fresh, unchanged=len(unchanged), no_trade=no_trade, unknown=unknown, total=len(book.seen)
    )
    return Coverage(counts=counts, unchanged_tickers=tuple(unchanged))
