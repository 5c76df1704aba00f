"""A minute and a day of one ticker: open, high, low, close, volume. Knows no source and no file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


class DayBar(NamedTuple):
    """One session of one ticker: a tuple, for histories are hundreds of thousands of them.

    Prices as of the newest split; `adj_close` also without the dividends since; `volume` in shares; None = not known.
    """

    session_date: date
    open: float
    high: float
    low: float
    close: float
    adj_close: float | None
    volume: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteBar:
    """What was told of the trades in [minute, minute + 60 s) of a session.

    `volume`: shares of this minute, `day_volume`: of the day by the end of it; None = not known. `is_whole`: False if
    the source was not heard for all of the minute, so that trades may be missing.
    """

    ticker: str
    session_date: date
    minute: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    day_volume: int | None
    is_whole: bool


def joined(earlier: MinuteBar, later: MinuteBar) -> MinuteBar:
    """Return the one bar of a minute that was told in two parts, or corrected: to join the same twice adds nothing."""
    is_whole = earlier.is_whole and later.is_whole
    return MinuteBar(
        ticker=earlier.ticker,
        session_date=earlier.session_date,
        minute=earlier.minute,
        open=earlier.open,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=later.volume if is_whole else None,
        day_volume=later.day_volume,
        is_whole=is_whole,
    )
