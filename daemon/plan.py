"""What should run now, and what a day will bring, from calendar and settings. Never starts anything, reads no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from msgspec.structs import replace

from core.clock import utc_text
from core.settings import Settings, Supervisor
from daemon.lifecycle import Want
from market import eastern
from market.sessions import Calendar, Session, daily_due_at, due_session

IN_SESSION = ("prices", "metrics")
DAILY = "daily"
RECORDER = "recorder"
SCREENER = "screener"
API = "api"
BACKUP = "backup"
PROXIES = "proxies"
STALLS = 4  # a scanner mends a stalled connection itself; one that failed to this many times over is hung


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyState:
    """`done`: the session whose refresh a run has completed; `active`: a run is under way."""

    done: date | None = None
    active: bool = False


def wanted(
    calendar: Calendar,
    settings: Settings,
    now: datetime,
    daily: DailyState,
    *,
    backup_done: datetime | None = None,
    proxy_file: bool = False,
) -> dict[str, Want]:
    """Return for each process whether it should run now, and why.

    `backup_done`: the due time it was last made for; `proxy_file`: the file of working proxies exists.
    """
    in_session = _in_session(calendar, settings, now)
    wants = {
        "prices": _if_enabled(settings.prices.enabled, in_session),
        "metrics": _if_enabled(settings.metrics.enabled, in_session),
        DAILY: _if_enabled(settings.daily.enabled, _daily(calendar, settings, now, daily)),
        SCREENER: _if_enabled(settings.screener.enabled, Want(wanted=True, session=in_session.session)),
        API: _if_enabled(settings.api.enabled, Want(wanted=True, session=in_session.session)),
    }
    if settings.backup.enabled:
        wants[BACKUP] = _backup(calendar, settings, now, backup_done)
    if keeps_proxies(settings, proxy_file=proxy_file):
        wants[PROXIES] = Want(wanted=True, session=in_session.session)
    return wants | {RECORDER: Want(wanted=True, session=in_session.session)}


def keeps_proxies(settings: Settings, *, proxy_file: bool) -> bool:
    """Whether there is a pool to keep: somebody who asks through it, and somewhere that proxies come from."""
    asked = settings.metrics.enabled and settings.metrics.direct != "only"
    return asked and bool(settings.proxies.sources or settings.proxies.own or proxy_file)


def backup_due_at(calendar: Calendar, settings: Settings, now: datetime) -> datetime:
    """Return when the backup was due that should exist by now."""
    return eastern.last_daily(now, time.fromisoformat(settings.backup.at), calendar.zone_name)


def _backup(calendar: Calendar, settings: Settings, now: datetime, done: datetime | None) -> Want:
    due_at = backup_due_at(calendar, settings, now)
    if done is None or done < due_at:
        return Want(wanted=True, session=str(due_at))
    return Want(wanted=False, reason=f"due at {settings.backup.at}", session=str(due_at))


def limits_of(name: str, settings: Settings) -> Supervisor:
    """Return what this process may take; the scan engine, which maps the whole market's bars, has limits of its own."""
    if name != SCREENER:
        return settings.supervisor
    own = settings.screener
    return replace(settings.supervisor, memory_soft_mb=own.memory_soft_mb, memory_hard_mb=own.memory_hard_mb)


def stall_limits(calendar: Calendar, settings: Settings, now: datetime) -> dict[str, float]:
    """Return, while the market is open, after how many seconds without new data a scanner counts as hung."""
    session = calendar.session_at(now)
    limits_s = {
        "prices": STALLS * settings.prices.stall_timeout_s,
        "metrics": STALLS * settings.metrics.interval_s,
    }
    open_s = (now - session.opens_at).total_seconds() if session else 0.0
    return {name: limit_s for name, limit_s in limits_s.items() if open_s > limit_s}


def daily_session(calendar: Calendar, settings: Settings, now: datetime) -> Session | None:
    """Return the newest session whose daily refresh is due."""
    return due_session(calendar, now, at=settings.daily.at)


def _in_session(calendar: Calendar, settings: Settings, now: datetime) -> Want:
    current = calendar.session_at(now)
    if calendar.endless and current:
        return Want(wanted=True, session=_label(current))
    last, following = current or calendar.last_session(now), calendar.next_session(now)
    for session in (following, last):  # the next one's warm-up wins over the last one's lingering
        if session and _starts_at(session, settings) <= now < _ends_at(session, settings):
            return Want(wanted=True, session=_label(session))
    if following is None:
        return Want(wanted=False, reason="the calendar lists no further session", session=_label(last))
    opens = eastern.to_local(following.opens_at, calendar.zone_name)
    return Want(wanted=False, reason=f"market is closed until {opens:%A %Y-%m-%d %H:%M}", session=_label(last))


def _label(session: Session | None) -> str:
    """What a manual stop is bound to. While the market is closed it is the session that is over, not the one to come:
    a stop ends when the next session begins."""
    return str(session.session_date) if session else "none yet"


def _daily(calendar: Calendar, settings: Settings, now: datetime, daily: DailyState) -> Want:
    session = daily_session(calendar, settings, now)
    if session is None or session.session_date == daily.done:
        at = _next_daily(calendar, settings, now)
        reason = _until(at, calendar) if at else "the calendar lists no further session"
        return Want(wanted=False, reason=reason, session=_label(calendar.session_at(now) or calendar.last_session(now)))
    due_at = daily_due_at(session, at=settings.daily.at, calendar=calendar)
    begins_at = _into_window(max(due_at, now), settings.daily.window, calendar)
    if begins_at > now and not daily.active:
        return Want(wanted=False, reason=_until(begins_at, calendar), session=str(session.session_date))
    return Want(wanted=True, session=str(session.session_date))


def _next_daily(calendar: Calendar, settings: Settings, now: datetime) -> datetime | None:
    current = calendar.session_at(now) or calendar.last_session(now)
    for session in (current, calendar.next_session(now)):
        if session and (due_at := daily_due_at(session, at=settings.daily.at, calendar=calendar)) > now:
            return _into_window(due_at, settings.daily.window, calendar)
    return None


def _into_window(at: datetime, window: str, calendar: Calendar) -> datetime:
    """The first moment from `at` on that lies in the local window; a window may span midnight."""
    if not window:
        return at
    opens, closes = (time.fromisoformat(part) for part in window.split("-"))
    local = eastern.to_local(at, calendar.zone_name)
    clock = local.time()
    inside = opens <= clock < closes if opens < closes else clock >= opens or clock < closes
    if inside:
        return at
    on = local.date() if clock < opens else local.date() + timedelta(days=1)
    return eastern.daily_to_utc(on, opens, calendar.zone_name)


def _starts_at(session: Session, settings: Settings) -> datetime:
    return session.opens_at - timedelta(seconds=settings.market.warmup_s)


def _ends_at(session: Session, settings: Settings) -> datetime:
    return session.closes_at + timedelta(seconds=settings.market.linger_s)


def _if_enabled(enabled: bool, want: Want) -> Want:
    return want if enabled else Want(wanted=False, enabled=False, reason="disabled in the settings")


def _until(at: datetime, calendar: Calendar) -> str:
    return f"due {eastern.to_local(at, calendar.zone_name):%A %Y-%m-%d %H:%M}"


def days(calendar: Calendar, settings: Settings, start: date, n: int) -> list[dict[str, Any]]:
    """Return the `plan` document's days; eastern.DateOutOfRange where the calendar's rules end."""
    return [_day(calendar, settings, start + timedelta(days=offset)) for offset in range(n)]


def _day(calendar: Calendar, settings: Settings, on: date) -> dict[str, Any]:
    day = calendar.day(on)
    session = day.session
    actions = sorted(_actions(calendar, settings, session), key=lambda action: action[0]) if session else []
    return {
        "session": str(on),
        "kind": day.kind,
        "open": utc_text(session.opens_at) if session else None,
        "close": utc_text(session.closes_at) if session else None,
        "reason": day.reason,
        "actions": [{"at": utc_text(at), "process": name, "action": verb} for at, name, verb in actions],
    }


def _actions(calendar: Calendar, settings: Settings, session: Session) -> Iterator[tuple[datetime, str, str]]:
    enabled = {"prices": settings.prices.enabled, "metrics": settings.metrics.enabled}
    for name in IN_SESSION:
        if enabled[name] and not (calendar.endless and calendar.session_at(session.opens_at - timedelta(seconds=1))):
            yield _starts_at(session, settings), name, "start"
        if enabled[name] and not (calendar.endless and calendar.session_at(session.closes_at)):
            yield _ends_at(session, settings), name, "stop"
    if settings.daily.enabled:
        due_at = daily_due_at(session, at=settings.daily.at, calendar=calendar)
        yield _into_window(due_at, settings.daily.window, calendar), DAILY, "start"
