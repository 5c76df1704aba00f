"""Local exchange time to UTC and back; pytz is asked here and nowhere else. Never reads the clock.

pytz zones go through `localize`: given to datetime's constructor they mean local mean time (-04:56 for New York).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import pytz

from core.errors import FixByHand

EASTERN = "America/New_York"
FIRST_DATE = date(1970, 1, 1)
LAST_DATE = date(2037, 12, 31)
"""pytz knows no daylight saving after 2037: a later summer would be an hour wrong, silently."""


class DateOutOfRange(FixByHand):
    """A date for which the rules of time or of the market are not known."""

    def __init__(self, on: date, *, first: date = FIRST_DATE, last: date = LAST_DATE) -> None:
        self.on = on
        super().__init__(f"no rules are known for {on}", right=f"use a date from {first} to {last}")


class NoSuchLocalTime(FixByHand):
    """A local time that the clock skips in spring or shows twice in autumn."""

    def __init__(self, on: date, at: time, zone_name: str, *, fault: str) -> None:
        self.on, self.at, self.zone_name = on, at, zone_name
        super().__init__(f"{on} {at:%H:%M} {fault} in {zone_name}", right="use a time outside the change of the clocks")


def check_date(on: date) -> None:
    """Raise DateOutOfRange unless the local date is in 1970..2037."""
    if not FIRST_DATE <= on <= LAST_DATE:
        raise DateOutOfRange(on)


def local_to_utc(on: date, at: time, zone_name: str = EASTERN) -> datetime:
    """The UTC instant of a local date and time that exists exactly once; else NoSuchLocalTime."""
    check_date(on)
    try:
        return _utc(on, at, zone_name, is_dst=None)
    except pytz.NonExistentTimeError as exc:
        raise NoSuchLocalTime(on, at, zone_name, fault="does not exist") from exc
    except pytz.AmbiguousTimeError as exc:
        raise NoSuchLocalTime(on, at, zone_name, fault="exists twice") from exc


def daily_to_utc(on: date, at: time, zone_name: str = EASTERN) -> datetime:
    """Like `local_to_utc`, for a time that must come every day: an hour that the clock skips is read as
    standard time, a repeated one as its first passing."""
    check_date(on)
    return _daily(on, at, zone_name)


def last_daily(now: datetime, at: time, zone_name: str = EASTERN) -> datetime:
    """The newest moment not after `now` at which the wall showed `at`."""
    today = local_date(now, zone_name)
    moment = daily_to_utc(today, at, zone_name)
    return moment if moment <= now else daily_to_utc(today - timedelta(days=1), at, zone_name)


def day_bounds(on: date, zone_name: str = EASTERN) -> tuple[datetime, datetime]:
    """The UTC instants between which the wall shows this date: 23, 24 or 25 hours."""
    check_date(on)
    return _daily(on, time.min, zone_name), _daily(on + timedelta(days=1), time.min, zone_name)


def to_local(at: datetime, zone_name: str = EASTERN) -> datetime:
    """The same instant as an aware local time."""
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no place here: give an aware one")
    try:
        local = at.astimezone(_zone(zone_name))
    except OverflowError as exc:  # the first or last hours of datetime's own range
        raise DateOutOfRange(at.date()) from exc
    check_date(local.date())
    return local


def local_date(at: datetime, zone_name: str = EASTERN) -> date:
    """The date on the wall of the exchange at an instant."""
    return to_local(at, zone_name).date()


def check_zone(zone_name: str) -> None:
    """Raise FixByHand if pytz does not know the zone."""
    _zone(zone_name)


def _daily(on: date, at: time, zone_name: str) -> datetime:
    try:
        return _utc(on, at, zone_name, is_dst=None)
    except pytz.NonExistentTimeError:
        return _utc(on, at, zone_name, is_dst=False)
    except pytz.AmbiguousTimeError:
        return _utc(on, at, zone_name, is_dst=True)


@lru_cache(maxsize=1024)  # the orchestrator asks for the same few moments each second
def _utc(on: date, at: time, zone_name: str, *, is_dst: bool | None) -> datetime:
    return _zone(zone_name).localize(datetime.combine(on, at), is_dst=is_dst).astimezone(UTC)


@lru_cache(maxsize=8)  # pytz looks at the spelling again each time
def _zone(zone_name: str) -> pytz.tzinfo.BaseTzInfo:
    try:
        return pytz.timezone(zone_name)
    except pytz.UnknownTimeZoneError as exc:
        raise FixByHand(
            f"no time zone is called {zone_name!r}",
            key="market.timezone",
            right=f'use a name of the tz database like "{EASTERN}"',
        ) from exc
