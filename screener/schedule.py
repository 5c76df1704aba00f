"""Which saved scans are due: after each price minute of a session, and once after each close. Runs none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What the schedule goes by. `prices_seq`: number of the newest write; `closed_at`: when the newest session's daily
    bars were complete, None while they are not."""

    at: datetime
    is_open: bool
    prices_seq: int
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ran:
    """The minute that was scanned last, and the newest write that was known then."""

    minute: datetime | None = None
    seq: int = 0


def due(saved: Sequence[Mapping[str, Any]], now: Now, ran: Ran) -> list[Mapping[str, Any]]:
    """Return the saved scans to run now: those of the minute while new prices come, those of the close once."""
    minute_is_due = now.is_open and now.prices_seq > ran.seq and (ran.minute is None or minute_of(now.at) > ran.minute)
    return [
        row
        for row in saved
        if (row["schedule"] == "minute" and minute_is_due) or (row["schedule"] == "close" and _close_is_due(row, now))
    ]


def _close_is_due(row: Mapping[str, Any], now: Now) -> bool:
    """Saved after the close, it runs at once: its answer is there already."""
    return now.closed_at is not None and (row["last_run_at"] is None or row["last_run_at"] < now.closed_at)


def minute_of(at: datetime) -> datetime:
    """Return the start of the minute that `at` lies in."""
    return at.replace(second=0, microsecond=0)
