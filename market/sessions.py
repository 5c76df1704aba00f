"""When the market is open: sessions, days and the calendars that know them. Reads no clock and no file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

from core.errors import FixByHand
from core.settings import Market
from market import eastern, xnys
from market.calendar_files import (
    FileSession,
    Override,
    bad_override,
    parse_overrides,
    parse_sessions,
)

PRICE_GRACE = timedelta(minutes=15)
"""Prints of the closing auction reach the tape some minutes after the bell."""

EARLY_DAILY_DELAY = timedelta(minutes=30)
"""From an early close to the daily refresh: as long as from 16:00 to 16:30."""

DAYS_KEPT = 1024
"""Days in memory: the same few are asked for each second."""

SessionKind = Literal["regular", "early"]
DayKind = Literal["regular", "early", "holiday", "weekend", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Opens at `opens_at`, is over at `closes_at` (UTC); `reason` says why it is not a regular one."""

    session_date: date
    opens_at: datetime
    closes_at: datetime
    kind: SessionKind = "regular"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A date of the calendar; `closed` is a closure outside the yearly holidays."""

    session_date: date
    kind: DayKind
    session: Session | None = None
    reason: str = ""


class Calendar(Protocol):
    """Each method raises eastern.DateOutOfRange where the rules end, rather than guess."""

    @property
    def zone_name(self) -> str: ...

    @property
    def endless(self) -> bool:
        """Sessions follow one another without a gap: the market never closes."""

    def day(self, on: date) -> Day: ...

    def session_at(self, at: datetime) -> Session | None:
        """The session with opens_at <= at < closes_at."""

    def next_session(self, after: datetime) -> Session | None:
        """The first session with opens_at > after; None if a list of sessions ends before."""

    def last_session(self, at: datetime) -> Session | None:
        """The newest session with closes_at <= at; None if a list of sessions begins later."""


def is_price_time(session: Session, at: datetime) -> bool:
    """Whether a trade at this exchange time counts as the regular session's price."""
    return session.opens_at <= at <= session.closes_at + PRICE_GRACE


def is_price_of(session: Session, at: datetime, calendar: Calendar) -> bool:
    """Whether such a trade is this session's alone: the next one may open as it closes."""
    if not is_price_time(session, at):
        return False
    opened = calendar.session_at(at)
    return opened is None or opened.opens_at < session.closes_at


def daily_due_at(session: Session, *, at: str, calendar: Calendar) -> datetime:
    """When the session's daily refresh is due: local `at` ("16:30"), never before the close ("00:00": at the
    close); at the latest 30 minutes after an early close. In an endless market, `at` of the session's date."""
    local_at = time.fromisoformat(at)
    if calendar.endless:
        return eastern.daily_to_utc(session.session_date, local_at, calendar.zone_name)
    closing_date = eastern.local_date(session.closes_at, calendar.zone_name)
    due_at = max(eastern.daily_to_utc(closing_date, local_at, calendar.zone_name), session.closes_at)
    if session.kind == "early":
        return min(due_at, session.closes_at + EARLY_DAILY_DELAY)
    return due_at


def due_session(calendar: Calendar, now: datetime, *, at: str) -> Session | None:
    """The newest session whose daily refresh is due at `now`; None if a list of sessions begins later."""
    session = calendar.session_at(now) or calendar.last_session(now)
    while session and daily_due_at(session, at=at, calendar=calendar) > now:
        session = calendar.last_session(session.opens_at)
    return session


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCalendar:
    """Days that follow from a rule, but for the `overrides`. A session lies within its local date."""

    zone_name: str
    rule: Callable[[date], Day]
    overrides: Mapping[date, Day] = field(default_factory=dict)
    endless: bool = False

    def day(self, on: date) -> Day:
        eastern.check_date(on)
        return self.overrides.get(on) or self.rule(on)

    def session_at(self, at: datetime) -> Session | None:
        session = self.day(eastern.local_date(at, self.zone_name)).session
        return session if session and session.opens_at <= at < session.closes_at else None

    def next_session(self, after: datetime) -> Session | None:
        return self._search(after, step_days=1, wanted=lambda session: session.opens_at > after)

    def last_session(self, at: datetime) -> Session | None:
        return self._search(at, step_days=-1, wanted=lambda session: session.closes_at <= at)

    def _search(self, start: datetime, *, step_days: int, wanted: Callable[[Session], bool]) -> Session:
        """Ends at the latest where `day` refuses the date."""
        on = eastern.local_date(start, self.zone_name)
        while not ((session := self.day(on).session) and wanted(session)):
            on += timedelta(days=step_days)
        return session


class ListedCalendar:
    """The sessions of a list, in order and without overlap, and nothing else."""

    endless = False

    def __init__(self, sessions: Iterable[Session], *, zone_name: str, closed: Mapping[date, str]) -> None:
        """`closed`: date -> reason, for dates without a session."""
        self.zone_name = zone_name
        self._sessions = tuple(sessions)
        self._closed = closed
        self._by_date = {session.session_date: session for session in self._sessions}
        self._opens = [session.opens_at for session in self._sessions]
        self._closes = [session.closes_at for session in self._sessions]

    def day(self, on: date) -> Day:
        eastern.check_date(on)
        if session := self._by_date.get(on):
            return Day(session_date=on, kind=session.kind, session=session, reason=session.reason)
        if on in self._closed or on.weekday() < xnys.SATURDAY:
            return Day(session_date=on, kind="closed", reason=self._closed.get(on, "not in the list of sessions"))
        return Day(session_date=on, kind="weekend", reason="not in the list of sessions")

    def session_at(self, at: datetime) -> Session | None:
        session = self._at(bisect_right(self._opens, at) - 1)
        return session if session and at < session.closes_at else None

    def next_session(self, after: datetime) -> Session | None:
        return self._at(bisect_right(self._opens, after))

    def last_session(self, at: datetime) -> Session | None:
        return self._at(bisect_right(self._closes, at) - 1)

    def _at(self, index: int) -> Session | None:
        return self._sessions[index] if 0 <= index < len(self._sessions) else None


def build_calendar(settings: Market, *, read: Callable[[Path], str]) -> Calendar:
    """The calendar that the settings name, with the overrides on top; `read` gives the text of a file."""
    eastern.check_zone(settings.timezone)
    opens, closes = time.fromisoformat(settings.open), time.fromisoformat(settings.close)
    if closes <= opens:
        raise FixByHand(
            f"{settings.close} is not after market.open {settings.open}",
            key="market.close",
            right="use a close later on the same day",
        )
    if settings.calendar == "XNYS" and settings.timezone != eastern.EASTERN:
        raise FixByHand(
            f"the calendar XNYS has its hours in New York's time, not in that of {settings.timezone}",
            key="market.timezone",
            right=f'use "{eastern.EASTERN}", or a "file:" calendar',
        )
    source = settings.overrides_file
    overrides = parse_overrides(_read(source, "market.overrides_file", read), source=source) if source else ()
    days = {each.session_date: _override_day(each, settings) for each in overrides}
    if settings.calendar.startswith("file:"):
        path = settings.calendar.removeprefix("file:")
        listed = parse_sessions(_read(path, "market.calendar", read), source=path)
        return _listed_calendar(listed, days, settings)
    if settings.calendar == "always":
        return RuleCalendar(
            zone_name=settings.timezone,
            rule=lru_cache(DAYS_KEPT)(_always_rule(settings.timezone)),
            overrides=days,
            endless=True,
        )
    rule = lru_cache(DAYS_KEPT)(_xnys_rule(opens, closes, settings.timezone))
    return RuleCalendar(zone_name=settings.timezone, rule=rule, overrides=days)


def _read(path: str, key: str, read: Callable[[Path], str]) -> str:
    try:
        return read(Path(path))
    except FixByHand as exc:
        raise FixByHand(exc.reason, where=path, key=key, right=exc.right) from exc
    except (OSError, UnicodeError) as exc:
        raise FixByHand(f"cannot be read ({exc})", where=path, key=key, right="name a UTF-8 text file") from exc


def _xnys_rule(opens: time, closes: time, zone_name: str) -> Callable[[date], Day]:
    def rule(on: date) -> Day:
        if on < xnys.FIRST_DATE:
            raise eastern.DateOutOfRange(on, first=xnys.FIRST_DATE)
        exemption = xnys.exemption_on(on)
        if exemption is None:
            return _open_day(on, opens, closes, zone_name)
        if exemption.kind != "early":
            return Day(session_date=on, kind=exemption.kind, reason=exemption.reason)
        if opens >= xnys.EARLY_CLOSE:
            reason = f"{exemption.reason}: closes at {xnys.EARLY_CLOSE:%H:%M}, before the set opening"
            return Day(session_date=on, kind="closed", reason=reason)
        return _open_day(on, opens, min(closes, xnys.EARLY_CLOSE), zone_name, kind="early", reason=exemption.reason)

    return rule


def _always_rule(zone_name: str) -> Callable[[date], Day]:
    def rule(on: date) -> Day:
        opens_at, closes_at = eastern.day_bounds(on, zone_name)
        session = Session(session_date=on, opens_at=opens_at, closes_at=closes_at)
        return Day(session_date=on, kind="regular", session=session)

    return rule


def _open_day(
    on: date, opens: time, closes: time, zone_name: str, *, kind: SessionKind = "regular", reason: str = ""
) -> Day:
    session = Session(
        session_date=on,
        opens_at=eastern.local_to_utc(on, opens, zone_name),
        closes_at=eastern.local_to_utc(on, closes, zone_name),
        kind=kind,
        reason=reason,
    )
    return Day(session_date=on, kind=kind, session=session, reason=reason)


def _override_day(override: Override, settings: Market) -> Day:
    if override.hours is None:
        return Day(session_date=override.session_date, kind="closed", reason=override.reason)
    opens, closes = override.hours
    early = settings.calendar != "always" and closes < time.fromisoformat(settings.close)
    kind: SessionKind = "early" if early else "regular"
    try:
        return _open_day(override.session_date, opens, closes, settings.timezone, kind=kind, reason=override.reason)
    except eastern.NoSuchLocalTime as exc:
        raise bad_override(settings.overrides_file, override.entry, exc.reason, exc.right) from exc


def _listed_calendar(listed: Iterable[FileSession], overrides: Mapping[date, Day], settings: Market) -> ListedCalendar:
    sessions = {
        row.session_date: Session(
            session_date=row.session_date, opens_at=row.opens_at, closes_at=row.closes_at, reason=row.reason
        )
        for row in listed
    }
    for on, day in overrides.items():
        sessions.pop(on, None)
        if day.session:
            sessions[on] = day.session
    merged = [sessions[on] for on in sorted(sessions)]
    for before, after in pairwise(merged):
        if after.opens_at < before.closes_at:
            raise FixByHand(
                f"the sessions {before.session_date} and {after.session_date} overlap",
                where=settings.overrides_file,
                right="write an override that ends before the next session of the list opens",
            )
    closed = {on: day.reason for on, day in overrides.items() if day.session is None}
    return ListedCalendar(merged, zone_name=settings.timezone, closed=closed)
