"""Folds accepted ticks into bars of a minute. Pure: time comes in, bars go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from market.bars import MinuteBar
from market.quotes import Tick
from market.sessions import Session
from scanners.context import minute_of

MINUTE = timedelta(minutes=1)
SETTLE = timedelta(seconds=5)
"""A minute is closed so long after its end: the stream tells of each second about a second later."""
LATEST = timedelta(minutes=20)
"""Some exchanges are told with a delay of 15 minutes. What comes later than this goes into no bar."""


class Line(NamedTuple):
    """The connection that a ticker is heard on, in monotonic seconds: open without a break since, last heard at."""

    since_s: float
    heard_s: float


@dataclass(slots=True, kw_only=True)
class _Growing:
    """A bar that trades may still change. `before`: the day's volume when it began, heard at `before_s`."""

    session_date: date
    minute: datetime
    begins_at: datetime
    ends_at: datetime
    open: float
    high: float
    low: float
    close: float
    day_volume: int | None
    before: int | None
    before_s: float
    is_changed: bool = True

    def add(self, price: float, day_volume: int | None) -> None:
        """Take in a later trade of the minute, or the same again, which changes nothing."""
        if (price, day_volume) != (self.close, self.day_volume):
            self.high, self.low = max(self.high, price), min(self.low, price)
            self.close, self.day_volume = price, day_volume
            self.is_changed = True


@dataclass(slots=True)
class _Known:
    """The day's volume of a ticker as it was last told, with the trade at `at`; `heard_s`: when (monotonic)."""

    session_date: date
    at: datetime
    day_volume: int | None
    heard_s: float


@dataclass(slots=True)
class MinuteBook:
    """The newest bar of each ticker, and those that nobody has taken yet.

    `since`: when listening began; of a minute that ended before, too little is heard. `left_out`: ticks without a
    bar, by reason.
    """

    since: datetime
    left_out: Counter[str] = field(default_factory=Counter)
    _growing: dict[str, _Growing] = field(default_factory=dict)
    _grown: list[tuple[str, _Growing]] = field(default_factory=list)
    _known: dict[str, _Known] = field(default_factory=dict)

    def offer(self, tick: Tick, sessions: Sequence[Session], *, now: datetime, now_s: float) -> None:
        """Take in a tick of the regular session. Those of one ticker come in the order of their exchange times."""
        at = tick.price_time
        session = next((each for each in sessions if each.opens_at <= at < each.closes_at), None)
        if session is None:
            self.left_out["after_close"] += 1  # the closing auction is the daily bar's
            return
        known = self._known.get(tick.ticker)
        newest = self._known[tick.ticker] = _Known(session.session_date, at, _day_volume(tick, known), now_s)
        minute = minute_of(at)
        if minute + MINUTE <= self.since or now - at > LATEST:
            self.left_out["before_start" if minute + MINUTE <= self.since else "late"] += 1
            return
        bar = self._growing.get(tick.ticker)
        if bar is not None and bar.minute == minute:
            bar.add(tick.price, newest.day_volume)
            return
        if bar is not None and bar.is_changed:
            self._grown.append((tick.ticker, bar))
        self._growing[tick.ticker] = _first(tick.price, session, minute, newest, known)

    def take(
        self, lines: Mapping[str, Line], *, now: datetime, now_s: float, is_ending: bool = False
    ) -> list[MinuteBar]:
        """Return each bar that is new or changed, sorted, once its minute has settled; `is_ending`: all of them.

        `lines`: of the tickers whose connection is proven whole now.
        """
        changed = [*self._grown, *((ticker, bar) for ticker, bar in self._growing.items() if bar.is_changed)]
        ready = [(ticker, bar) for ticker, bar in changed if is_ending or _is_settled(bar, now)]
        self._grown = [] if is_ending else [each for each in self._grown if not _is_settled(each[1], now)]
        for _, bar in ready:
            bar.is_changed = False
        bars = [_bar(ticker, bar, lines.get(ticker), now=now, now_s=now_s) for ticker, bar in ready]
        return sorted(bars, key=lambda bar: (bar.minute, bar.ticker))


def _day_volume(tick: Tick, known: _Known | None) -> int | None:
    """Return the day's volume. A second was seen told twice, the second time with less: an older state of it."""
    if known is None or known.at != tick.price_time or known.day_volume is None or tick.day_volume is None:
        return tick.day_volume
    return max(known.day_volume, tick.day_volume)


def _first(price: float, session: Session, minute: datetime, newest: _Known, known: _Known | None) -> _Growing:
    is_same_day = known is not None and known.session_date == session.session_date
    return _Growing(
        session_date=session.session_date,
        minute=minute,
        begins_at=max(minute, session.opens_at),
        ends_at=min(minute + MINUTE, session.closes_at),
        open=price,
        high=price,
        low=price,
        close=price,
        day_volume=newest.day_volume,
        before=known.day_volume if known is not None and is_same_day else None,
        before_s=known.heard_s if known is not None else 0.0,
    )


def _is_settled(bar: _Growing, now: datetime) -> bool:
    return bar.ends_at + SETTLE <= now


def _bar(ticker: str, bar: _Growing, line: Line | None, *, now: datetime, now_s: float) -> MinuteBar:
    is_whole = line is not None and _is_settled(bar, now) and _spans(line, bar, now=now, now_s=now_s)
    volume = None
    # What was known before the connection opened says nothing: shares traded while nobody listened lie between.
    if is_whole and line is not None and bar.before_s >= line.since_s:
        volume = _difference(bar.day_volume, bar.before)
    return MinuteBar(
        ticker=ticker,
        session_date=bar.session_date,
        minute=bar.minute,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=volume,
        day_volume=bar.day_volume,
        is_whole=is_whole,
    )


def _spans(line: Line, bar: _Growing, *, now: datetime, now_s: float) -> bool:
    begins_s = now_s - (now - bar.begins_at).total_seconds()
    ends_s = now_s - (now - bar.ends_at).total_seconds()
    return line.since_s <= begins_s and line.heard_s >= ends_s


def _difference(now: int | None, before: int | None) -> int | None:
    """A day's volume that falls was corrected by the source: the minute's is then not known."""
    return now - before if now is not None and before is not None and now >= before else None
