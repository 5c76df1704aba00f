"""The `status` document from a snapshot. Reads nothing itself, so that it is quick whatever goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from core.clock import utc_text
from core.config import redacted
from daemon.child_logs import RATE_BYTES_S, ChildLog
from daemon.crew import SPIN_S, LastExit, Member
from daemon.lifecycle import State
from daemon.plan import IN_SESSION
from market import eastern
from market.sessions import Calendar, Session

VERSION = 1
PREPARATION_S = 300.0
"""A migration of the whole market takes seconds: what takes longer waits for a lock or hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """`reachable`: None while nobody has tried; `reason`: what whoever tried last said."""

    url: str
    reachable: bool | None
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that the document shows, at one moment."""

    now: datetime
    now_s: float
    state: str
    pid: int
    since: datetime
    since_s: float
    market: dict[str, Any]
    members: Mapping[str, Member]
    database: Database
    own_logs: tuple[ChildLog, ...] = ()
    journal_failed: int = 0
    """Events that the journal's disk has refused, while it still refuses."""


def document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the document of `tickerd status --json`."""
    facts = [member.heard.facts for member in snapshot.members.values()]
    origin = next((each["origin"] for each in facts if each.get("origin")), None)
    return {
        "version": VERSION,
        "state": snapshot.state,
        "pid": snapshot.pid,
        "since": utc_text(snapshot.since),
        "market": snapshot.market,
        "processes": [_process(member, snapshot) for member in snapshot.members.values()],
        "coverage": _coverage(snapshot.members.values()),
        "audit": next((each["audit"] for each in facts if each.get("audit")), None),
        "database": {
            "url": redacted(snapshot.database.url),
            "origin": origin,
            "reachable": snapshot.database.reachable,
        },
        "alerts": alerts(snapshot),
    }


def market(calendar: Calendar, now: datetime) -> dict[str, Any]:
    """Return the session that is on, or the next one, and why the market is closed."""
    current = calendar.session_at(now)
    session = current or calendar.next_session(now)
    reason = current.reason if current else _closed_reason(calendar, now, session)
    return {
        "session": str(session.session_date) if session else None,
        "state": "open" if current else "closed",
        "opens_at": utc_text(session.opens_at) if session else None,
        "closes_at": utc_text(session.closes_at) if session else None,
        "reason": reason,
    }


def all_wanted_run(status: Mapping[str, Any]) -> bool:
    """Whether `tickerd status` exits 0: the orchestrator and each process that should run do."""
    return status["state"] == "running" and all(
        process["state"] == State.RUNNING for process in status["processes"] if process["wanted"]
    )


def in_words(status: Mapping[str, Any]) -> str:
    """Return RUNNING, WAITING or what is amiss, for the status line."""
    wanted = [process for process in status["processes"] if process["wanted"]]
    amiss = [f"{each['name']} {each['state']}" for each in wanted if each["state"] != State.RUNNING]
    if status["state"] != "running" or amiss:
        return f"DEGRADED ({', '.join(amiss) or status['state']})"
    return "RUNNING" if any(each["name"] in IN_SESSION for each in wanted) else "WAITING"


def _closed_reason(calendar: Calendar, now: datetime, following: Session | None) -> str:
    if following is None:
        return "the calendar lists no further session"
    today = calendar.day(eastern.local_date(now, calendar.zone_name))
    if today.session is None:
        return today.reason
    return "before the open" if now < today.session.opens_at else "after the close"


def _process(member: Member, snapshot: Snapshot) -> dict[str, Any]:
    child, heard = member.child, member.heard
    live = child.pid is not None
    return {
        "name": child.name,
        "state": str(child.state),
        "wanted": child.should_run,
        "pid": child.pid,
        "since": utc_text(snapshot.now - timedelta(seconds=snapshot.now_s - child.since_s)),
        "reason": child.reason,
        "restarts": child.restarts,
        "last_exit": _last_exit(member.last_exit),
        "beat_age_s": _age_s(heard.beat_s, snapshot.now_s) if live else None,
        "data_age_s": _age_s(heard.data_s, snapshot.now_s) if live else None,
        "survivors": member.survivors,
        "open_files": member.usage.open_files if member.usage else None,
        "rss_mb": round(member.usage.rss_mb, 1) if member.usage else None,
        "cpu_percent": round(member.usage.cpu_percent, 1) if member.usage else None,
        "progress": msgspec.to_builtins(heard.progress) if live and heard.progress else None,
    }


def _last_exit(ended: LastExit | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    return {"at": utc_text(ended.at), "code": ended.code, "signal": ended.signal, "cause": ended.cause}


def _age_s(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else round(max(0.0, now_s - at_s), 1)


def _coverage(members: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for member in members:
        merged |= member.heard.coverage
    return merged


def alerts(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return what a person should look at now, one entry a matter."""
    found = [_breaker_alert(member) for member in snapshot.members.values() if member.child.breaker_open]
    found += [_spin_alert(member) for member in snapshot.members.values() if member.spins]
    for state in ("unreachable", "refusing"):
        if missing := [member for member in snapshot.members.values() if _upstream(member) == state]:
            found.append(_upstream_alert(state, missing))
    if snapshot.state == "starting" and snapshot.now_s - snapshot.since_s > PREPARATION_S:
        text = f"the database is being prepared since {utc_text(snapshot.since)}; logs/prepare.jsonl tells more"
        found.append(_alert("preparation_slow", None, utc_text(snapshot.since), text))
    if snapshot.database.reachable is False:
        since = utc_text(snapshot.database.since) if snapshot.database.since else None
        found.append(_alert("database_unreachable", None, since, snapshot.database.reason))
    if snapshot.journal_failed:
        text = f"{snapshot.journal_failed} events could not be written to the journal"
        found.append(_alert("journal_failed", None, None, text))
    return found + _log_alerts(snapshot)


def _log_alerts(snapshot: Snapshot) -> list[dict[str, Any]]:
    logs = [*(member.log for member in snapshot.members.values()), *snapshot.own_logs]
    found = []
    if refused := sum(log.dropped for log in logs if log.disk_refuses):
        found.append(_alert("logs_dropped", None, None, f"{refused} writes to log files were refused by the disk"))
    for log in logs:
        if log.floods(snapshot.now_s):
            rate, left_out = RATE_BYTES_S / 1e6, log.dropped_bytes / 1e6
            text = f"{log.process} writes more than {rate:g} MB/s to its log: {left_out:.1f} MB were left out"
            found.append(_alert("log_flooded", log.process, None, text))
    return found


def _breaker_alert(member: Member) -> dict[str, Any]:
    child = member.child
    text = f"{child.name} fails again and again and is tried again less often: {child.reason}".rstrip(": ")
    since = utc_text(member.last_exit.at) if member.last_exit else None
    return _alert("breaker_open", child.name, since, text)


def _spin_alert(member: Member) -> dict[str, Any]:
    text = f"{member.child.name} has done nothing but compute for {SPIN_S:g} s"
    return _alert("cpu_spun", member.child.name, None, text)


def _upstream(member: Member) -> Any:
    """What a scanner that should run says of its upstream."""
    return member.heard.facts.get("upstream") if member.child.should_run else None


def _upstream_alert(state: str, missing: list[Member]) -> dict[str, Any]:
    """One alert, however many scanners miss the upstream: since the first of them."""
    first = min(missing, key=lambda member: str(member.heard.facts.get("upstream_since", "~")))
    names = ", ".join(member.child.name for member in missing)
    since = first.heard.facts.get("upstream_since")
    text = f"upstream does not answer ({names}): {first.heard.status}"
    if state == "refusing":
        text = f"upstream answers 429 since {since}, slowing down ({names})"
    return _alert(f"upstream_{state}", None, since, text)


def _alert(name: str, process: str | None, since: Any, text: str) -> dict[str, Any]:
    return {"alert": name, "process": process, "since": since, "text": text}
