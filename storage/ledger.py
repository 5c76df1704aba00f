"""What share of a session's ticker-minutes was fresh, and why not the rest. Knows no calendar and never writes.

Counts of a group stand from their minute until the next ones, at most two cycles. What no counts stand for is
`not_covered`: the scanner was not there to say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from sqlalchemy import Engine, func, select

from market.sessions import Session
from storage.coverage import GROUPS, WINDOW_S, CoverageCounts
from storage.schema import coverage_minute, stocks_stock

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one group's scanner counted at `minute`."""

    minute: datetime
    counts: CoverageCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Ticker-minutes of one group in one session, `total` their sum; `share`: fresh and unchanged over all, 0 to 1."""

    minutes: int
    fresh: int
    unchanged: int
    no_trade: int
    unknown: int
    not_covered: int
    total: int
    share: float | None


def read_days(engine: Engine, sessions: Sequence[Session], *, at: datetime) -> list[dict[str, Any]]:
    """Return for each session, as far as it is over at `at`: `session`, `opens_at`, `closes_at` and `groups`.

    `groups`: field group -> the fields of Share. Minutes that nobody counted are counted over the listed tickers.
    """
    with engine.connect() as connection:
        listed = connection.execute(select(func.count()).where(stocks_stock.c.is_listed)).scalar_one()
    days = []
    for session in sessions:
        end = _whole_minute(min(session.closes_at, at))
        bounds = {"opens_at": session.opens_at, "closes_at": session.closes_at}
        groups = {}
        for group in GROUPS:
            counted = _read(engine, group, session.opens_at, end)
            share = share_of(counted, session.opens_at, end, window_s=WINDOW_S[group], listed=listed)
            groups[group] = asdict(share)
        days.append({"session": session.session_date, **bounds, "groups": groups})
    return days


def share_of(rows: Sequence[Counted], start: datetime, end: datetime, *, window_s: float, listed: int) -> Share:
    """Return the sums over the minutes of [start, end) of counts in the order of their minutes."""
    start, window = _whole_minute(start), timedelta(seconds=window_s)
    sums = dict.fromkeys(("fresh", "unchanged", "no_trade", "unknown"), 0)
    covered, size = 0, 0
    for row, next_minute in zip_longest(rows, (row.minute for row in rows[1:])):
        stands_until = min(each for each in (row.minute + window, next_minute, end) if each is not None)
        minutes = max(0, (stands_until - max(row.minute, start)) // MINUTE)
        covered += minutes
        size = max(size, row.counts.total if minutes else 0)
        for name in sums:
            sums[name] += getattr(row.counts, name) * minutes
    whole = max(0, (end - start) // MINUTE)
    not_covered = (whole - covered) * (size or listed)
    total = sum(sums.values()) + not_covered
    share = (sums["fresh"] + sums["unchanged"]) / total if total else None
    return Share(minutes=whole, not_covered=not_covered, total=total, share=share, **sums)


def _read(engine: Engine, group: str, start: datetime, end: datetime) -> list[Counted]:
    table = coverage_minute.c
    since = start - timedelta(seconds=WINDOW_S[group])
    wanted = (
        select(table.minute, table.fresh, table.unchanged, table.no_trade, table.unknown, table.total)
        .where(table.field_group == group, table.minute > since, table.minute < end)
        .order_by(table.minute)
    )
    with engine.connect() as connection:
        rows = connection.execute(wanted).mappings()
        return [
            Counted(minute=row["minute"], counts=CoverageCounts(**{key: row[key] for key in row if key != "minute"}))
            for row in rows
        ]


def _whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
