"""What one heartbeat says, read from the sd_notify protocol. Sans I/O; no bytes can harm it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from core.notify import parse
from core.progress import Progress

TEXT_LIMIT = 500

Counts = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one datagram says; None: it does not speak of that."""

    ready: bool = False
    beat: bool = False
    stopping: bool = False
    status: str | None = None
    data_at: datetime | None = None
    progress: Progress | None = None
    coverage: dict[str, Counts] | None = None
    facts: dict[str, Any] | None = None


def read_report(datagram: bytes) -> tuple[Report, list[str]]:
    """Return the report and the names of the fields that made no sense, which it leaves out."""
    fields = parse(datagram)
    bad: list[str] = []

    def decoded(name: str, kind: Any) -> Any:
        if name not in fields:
            return None
        try:
            return msgspec.json.decode(fields[name], type=kind)
        except msgspec.MsgspecError:
            bad.append(name)
            return None

    status = fields.get("STATUS")
    report = Report(
        ready=fields.get("READY") == "1",
        beat=fields.get("WATCHDOG") == "1",
        stopping=fields.get("STOPPING") == "1",
        status=status[:TEXT_LIMIT] if status is not None else None,
        data_at=_instant(fields, bad),
        progress=decoded("X_PROGRESS", Progress),
        coverage=decoded("X_COVERAGE", dict[str, Counts]),
        facts=decoded("X_FACTS", dict[str, Any]),
    )
    return report, bad


def _instant(fields: Mapping[str, str], bad: list[str]) -> datetime | None:
    if "X_DATA_AT" not in fields:
        return None
    try:
        at = datetime.fromisoformat(fields["X_DATA_AT"])
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        bad.append("X_DATA_AT")
        return None
    return at
