"""When the practice market is open, in whole seconds since 1970. Never reads the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from market.sessions import Calendar, Session

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
