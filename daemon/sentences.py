"""The lines that a person at a terminal reads, from the orchestrator's events. Decides nothing, reads no clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from core.logs import Sentence
from market.eastern import EASTERN, to_local

Event = Mapping[str, Any]

RULER = "=" * 80
LABELS = {
    "prices": "1-minute scanner",
    "metrics": "10-minute scanner",
    "daily": "daily scanner",
    "screener": "scan engine",
}
STOP_CAUSES = {"schedule": "not wanted now", "operator": "by hand", "memory": "too much memory"}


def clock_text(at: time | datetime) -> str:
    """Return `09:30 AM`."""
    return at.strftime("%I:%M %p")


def zone_text(zone_name: str, at: datetime) -> str:
    """Return what people call the zone: `ET` for Eastern Time, else the zone's own short name."""
    return "ET" if zone_name == EASTERN else to_local(at, zone_name).tzname() or zone_name


def _local(event: Event) -> str:
    at = datetime.fromisoformat(event["at"])
    return f"{clock_text(to_local(at, event['timezone']))} {zone_text(event['timezone'], at)}"


def _label(event: Event) -> str:
    return LABELS.get(event["process"]) or str(event["process"])


def _banner(event: Event) -> str:
    zone = zone_text(event["timezone"], datetime.fromisoformat(event["at"]))
    opens, closes, daily = (clock_text(time.fromisoformat(event[key])) for key in ("opens", "closes", "daily_at"))
    hours, trading = f"{opens} - {closes} {zone}", "Monday - Friday"
    if event["calendar"] == "always":
        hours, trading = "around the clock", "every day"
    elif event["calendar"].startswith("file:"):
        hours = trading = f"as listed in {event['calendar'].removeprefix('file:')}"
    return "\n".join(
        (
            RULER,
            "STOCK SCANNER ORCHESTRATOR",
            RULER,
            f"Market hours: {hours}",
            f"Trading days: {trading}",
            f"Daily scanner: {daily} {zone}" if event["daily_enabled"] else "Daily scanner: disabled",
            f"Current time: {_local(event)}",
            RULER,
            "",
        )
    )


def _market_closed(event: Event) -> str:
    if event.get("opens_at") is None:
        return "[MARKET] Market is CLOSED - The calendar lists no further session"
    opens_at = datetime.fromisoformat(event["opens_at"])
    local, zone = to_local(opens_at, event["timezone"]), zone_text(event["timezone"], opens_at)
    reason = f" ({event['reason']})" if event.get("reason") else ""
    day = f"{local:%A, %B} {local.day}"
    return f"[MARKET] Market is CLOSED{reason} - Next open: {day} at {clock_text(local)} {zone}"


def _status(event: Event) -> str:
    groups = (f"{group} {counts['fresh']:,} of {counts['total']:,} fresh" for group, counts in _counted(event))
    text = ", ".join(groups)
    return f"[STATUS] {_local(event)} - Scanners: {event['scanners']}" + (f" - {text}" if text else "")


def _counted(event: Event) -> list[tuple[str, Mapping[str, int]]]:
    names = {"price": "prices"}
    return [
        (names.get(group, group), counts)
        for group, counts in event["coverage"].items()
        if counts.get("total") and "fresh" in counts
    ]


def _detail(event: Event, separator: str = ": ") -> str:
    return f"{separator}{event['detail']}" if event.get("detail") else ""


def _stopping(event: Event) -> str:
    why = event.get("detail") or STOP_CAUSES.get(event["cause"], event["cause"])
    return f"[STOP] {_label(event)} is being stopped (PID: {event['pid']}): {why}"


SENTENCES: Mapping[str, Sentence] = {
    "orchestrator_started": _banner,
    "market_opened": lambda event: "[MARKET] Market is OPEN - Starting scanners...",
    "market_closed": _market_closed,
    "status_reported": _status,
    "scanner_started": lambda event: f"[START] {_label(event)} started (PID: {event['pid']})",
    "scanner_restarted": lambda event: (
        f"[RESTART] {_label(event)} restarted (PID: {event['pid']}){_detail(event, ' after ')}"
    ),
    "scanner_ready": lambda event: f"[READY] {_label(event)} is ready (PID: {event['pid']})",
    "scanner_stopping": _stopping,
    "scanner_stopped": lambda event: f"[STOP] {_label(event)} stopped",
    "scanner_held": lambda event: f"[STOP] {_label(event)} is held by hand",
    "scanner_released": lambda event: f"[STOP] {_label(event)} waits",
    "scanner_disabled": lambda event: f"[STOP] {_label(event)} is disabled in the settings",
    "scanner_finished": lambda event: f"[DONE] {_label(event)} finished",
    "scanner_failed": lambda event: f"[FAIL] {_label(event)} ended{_detail(event)}",
    "scanner_hung": lambda event: f"[FAIL] {_label(event)} hangs{_detail(event)}",
    "breaker_opened": lambda event: f"[FAIL] {_label(event)} ended{_detail(event)}",
    "alert_raised": lambda event: f"[ALERT] {event['detail']}",
    "alert_repeated": lambda event: f"[ALERT] Still: {event['detail']}",
    "alert_cleared": lambda event: f"[ALERT] Over: {event['alert'].replace('_', ' ')}",
    "breaker_closed": lambda event: f"[RESTART] {_label(event)} is well again",
    "orchestrator_stopping": lambda event: "[STOP] Stopping all scanners...",
    "orchestrator_stopped": lambda event: "[STOP] Orchestrator stopped",
}
