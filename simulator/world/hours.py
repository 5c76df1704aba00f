"""When the practice market is open, in whole seconds since 1970. Never reads the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from core.settings import Market as MarketSettings
from market.eastern import DateOutOfRange
from market.sessions import Calendar, Session, build_calendar

PRE_MARKET_S = 19_800
"""04:00 to 09:30."""
POST_MARKET_S = 14_400
"""16:00 to 20:00."""
NEVER_S = 1 << 62
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The newest session that has begun, and the open of the one after it (`NEVER_S`: none is listed)."""

    open_s: int
    close_s: int
    next_open_s: int

    def is_open(self, now_s: int) -> bool:
        return self.open_s <= now_s < self.close_s

    def phase(self, now_s: int) -> str:
        """Return Yahoo's marketState: PRE, REGULAR, POST or CLOSED."""
        if self.is_open(now_s):
            return "REGULAR"
        since_close_s, to_open_s = now_s - self.close_s, self.next_open_s - now_s
        if since_close_s < min(POST_MARKET_S, to_open_s):
            return "POST"
        return "PRE" if to_open_s <= PRE_MARKET_S else "CLOSED"


class Span(NamedTuple):
    """One session, in seconds."""

    open_s: int
    close_s: int


class Earlier:
    """The sessions before a moment, newest first: the calendar's, before a list begins New York's."""

    def __init__(self, calendar: Calendar, before_s: int) -> None:
        self._calendars = [calendar, build_calendar(MarketSettings(calendar="XNYS"), read=_no_file)]
        self.before_s = before_s
        self._found: list[Span] = []

    def sessions(self, count: int) -> list[Span]:
        """Return up to `count` of them: fewer where the rules of the calendar end."""
        while len(self._found) < count and self._calendars:
            before_s = self._found[-1].open_s if self._found else self.before_s
            session = _last_session(self._calendars[0], before_s)
            if session is None:
                del self._calendars[0]
            else:
                self._found.append(session)
        return self._found[:count]


def _last_session(calendar: Calendar, before_s: int) -> Span | None:
    try:
        session = calendar.last_session(datetime.fromtimestamp(before_s, UTC))
    except DateOutOfRange:
        return None
    return Span(int(session.opens_at.timestamp()), int(session.closes_at.timestamp())) if session else None


def _no_file(path: Path) -> str:
    raise AssertionError(f"XNYS needs no file: {path}")


def hours_at(calendar: Calendar, now: datetime) -> Hours:
    """Return the hours as of `now`; before the first listed session, that session some days earlier."""
    after = calendar.next_session(now)
    session = calendar.session_at(now) or calendar.last_session(now)
    next_open_s = int(after.opens_at.timestamp()) if after else NEVER_S
    if session:
        return _hours(session, next_open_s=next_open_s)
    assert after is not None, "a calendar has at least one session"
    back_s = ((after.opens_at - now) // DAY + 1) * int(DAY.total_seconds())
    first = _hours(after, next_open_s=next_open_s)
    return Hours(open_s=first.open_s - back_s, close_s=first.close_s - back_s, next_open_s=next_open_s)


def _hours(session: Session, *, next_open_s: int) -> Hours:
    return Hours(
        open_s=int(session.opens_at.timestamp()),
        close_s=int(session.closes_at.timestamp()),
        next_open_s=next_open_s,
    )
