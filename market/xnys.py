"""The rules of the New York Stock Exchange (XNYS): which dates are not full trading days, and why. No hours, no zones.

Sources: NYSE Rule 7.2 (holidays and their observance), the NYSE's yearly holiday notices, and its notices of
one-off closures. Known since 2000; the late opens of 2001-2006 (moments of silence) are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import cache
from typing import Literal

FIRST_DATE = date(2000, 1, 1)
"""Before it the exchange kept other holidays and half days than these rules say."""

EARLY_CLOSE = time(13, 0)
"""New York time at which a half day ends."""

JUNETEENTH_SINCE = 2022
"""First kept in 2022: on 2021-06-18 the exchange was open."""

MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6


@dataclass(frozen=True, slots=True)
class Exemption:
    """Why a date is not a full trading day; `closed` is a closure outside the yearly rules."""

    kind: Literal["early", "holiday", "weekend", "closed"]
    reason: str


_ATTACKS = Exemption("closed", "attacks of September 11")
_SANDY = Exemption("closed", "Hurricane Sandy")

ONE_OFF_CLOSURES: Mapping[date, Exemption] = {
    **{date(2001, 9, day): _ATTACKS for day in (11, 12, 13, 14)},
    date(2004, 6, 11): Exemption("closed", "National Day of Mourning for Ronald Reagan"),
    date(2007, 1, 2): Exemption("closed", "National Day of Mourning for Gerald Ford"),
    **{date(2012, 10, day): _SANDY for day in (29, 30)},
    date(2018, 12, 5): Exemption("closed", "National Day of Mourning for George H. W. Bush"),
    date(2025, 1, 9): Exemption("closed", "National Day of Mourning for Jimmy Carter"),
}


def exemption_on(on: date) -> Exemption | None:
    """Why the date is not a full trading day; None if it is one."""
    if on.weekday() >= SATURDAY:
        return Exemption("weekend", "Saturday" if on.weekday() == SATURDAY else "Sunday")
    return _holidays(on.year).get(on) or ONE_OFF_CLOSURES.get(on) or _half_days(on.year).get(on)


@cache
def _holidays(year: int) -> Mapping[date, Exemption]:
    return {on: Exemption("holiday", name) for on, name in _named_holidays(year)}


def _named_holidays(year: int) -> Iterator[tuple[date, str]]:
    if date(year, 1, 1).weekday() != SATURDAY:
        # Its Friday is the year's last trading day, which Rule 7.2 keeps open: 2021-12-31, 2027-12-31.
        yield _observed(date(year, 1, 1), "New Year's Day")
    yield _nth(year, 1, MONDAY, 3), "Martin Luther King Jr. Day"
    yield _nth(year, 2, MONDAY, 3), "Washington's Birthday"
    yield _easter_sunday(year) - timedelta(days=2), "Good Friday"
    yield _nth(year, 6, MONDAY, 1) - timedelta(days=7), "Memorial Day"
    if year >= JUNETEENTH_SINCE:
        yield _observed(date(year, 6, 19), "Juneteenth")
    yield _observed(date(year, 7, 4), "Independence Day")
    yield _nth(year, 9, MONDAY, 1), "Labor Day"
    yield _thanksgiving(year), "Thanksgiving Day"
    yield _observed(date(year, 12, 25), "Christmas Day")


@cache
def _half_days(year: int) -> Mapping[date, Exemption]:
    return {on: Exemption("early", name) for on, name in _named_half_days(year)}


def _named_half_days(year: int) -> Iterator[tuple[date, str]]:
    eve = date(year, 7, 3)
    if year == 2002:  # until 2012 a Thursday 4th gave its half day to the Friday after; 2002 is the only such year
        yield date(2002, 7, 5), "day after Independence Day"
    elif eve.weekday() <= THURSDAY:
        yield eve, "day before Independence Day"
    yield _thanksgiving(year) + timedelta(days=1), "day after Thanksgiving"
    if date(year, 12, 24).weekday() <= THURSDAY:
        yield date(year, 12, 24), "Christmas Eve"
    if year == 2003:  # announced for this year alone
        yield date(2003, 12, 26), "day after Christmas"


def _observed(on: date, name: str) -> tuple[date, str]:
    """NYSE Rule 7.2: a Saturday holiday is kept on the Friday before, a Sunday one on the Monday after."""
    shift_days = {SATURDAY: -1, SUNDAY: 1}.get(on.weekday(), 0)
    return on + timedelta(days=shift_days), f"{name} (observed)" if shift_days else name


def _thanksgiving(year: int) -> date:
    return _nth(year, 11, THURSDAY, 4)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _easter_sunday(year: int) -> date:
    """Anonymous Gregorian computus (Meeus, Astronomical Algorithms, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)
