from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from screener.schedule import Now, Ran, due, minute_of
from tests.fix_storage import NOON

SAVED: list[dict[str, Any]] = [
    {"name": "by_hand", "schedule": "", "last_run_at": None},
    {"name": "live", "schedule": "minute", "last_run_at": None},
    {"name": "eod", "schedule": "close", "last_run_at": NOON},
]


def names(now: Now, ran: Ran | None = None) -> list[str]:
    return [row["name"] for row in due(SAVED, now, ran or Ran())]


def at(*, open_: bool = True, seq: int = 5, closed_at: datetime | None = None, later_s: float = 0.0) -> Now:
    return Now(at=NOON + timedelta(seconds=later_s), is_open=open_, prices_seq=seq, closed_at=closed_at)


@pytest.mark.parametrize(
    ("now", "ran", "expected"),
    [
        (at(), Ran(), ["live"]),
        (at(later_s=59), Ran(NOON, 4), []),
        (at(later_s=60), Ran(NOON, 4), ["live"]),
        (at(later_s=60), Ran(NOON, 5), []),
        (at(open_=False), Ran(), []),
        (at(open_=False, closed_at=NOON - timedelta(hours=1)), Ran(), []),
        (at(open_=False, closed_at=NOON + timedelta(hours=1)), Ran(), ["eod"]),
    ],
    ids=["first", "same minute", "next minute", "no new price", "closed", "ran after that close", "a new close"],
)
def test_a_saved_scan_is_due_after_a_price_minute_or_once_after_a_close(
    now: Now, ran: Ran, expected: list[str]
) -> None:
    assert names(now, ran) == expected


def test_a_scan_that_never_ran_is_due_as_soon_as_there_was_a_close() -> None:
    never: list[dict[str, Any]] = [{"name": "eod", "schedule": "close", "last_run_at": None}]
    assert due(never, at(closed_at=None), Ran()) == []
    assert due(never, at(closed_at=NOON), Ran()) == never


def test_a_minute_begins_at_its_second_0() -> None:
    assert minute_of(NOON + timedelta(seconds=59, microseconds=3)) == NOON
