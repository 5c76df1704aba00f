"""How much of the market is fresh: written by the scanners each cycle, read by status. Computes no freshness itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Connection, Engine, func, select

from storage.schema import coverage_minute, scanner_run, stocks_stock
from storage.writer import Writer

FieldGroup = Literal["price", "metrics", "daily"]
GROUPS: tuple[FieldGroup, ...] = ("price", "metrics", "daily")
WINDOW_S: Mapping[str, float] = MappingProxyType({"price": 120.0, "metrics": 1200.0, "daily": 4 * 86_400.0})
"""How old counts may be: two cycles. The daily ones outlive a weekend with a holiday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCounts:
    """In tickers: told anew, confirmed unchanged, not traded today, not known; `total` is their sum."""

    fresh: int
    unchanged: int
    no_trade: int
    unknown: int
    total: int


def write_coverage_minute(writer: Writer, minute: datetime, field_group: FieldGroup, counts: CoverageCounts) -> None:
    """Write the counts of one group for the minute that `minute` lies in; written again, they are replaced."""
    row = {"minute": minute.replace(second=0, microsecond=0), "field_group": field_group} | asdict(counts)
    writer.run(lambda tx: tx.execute("put_coverage_minute", row), source="coverage")


def read_coverage(
    engine: Engine, *, at: datetime, window_s: Mapping[str, float] = WINDOW_S
) -> dict[str, dict[str, Any]]:
    """Return for each group its newest counts, and ages of the listed tickers.

    Without counts within `window_s`, as in a first daily refresh, who was told within it is fresh, the rest unknown.

    `age_s`: p50, p90, p99, max in seconds over the tickers that have one; None where none has.
    """
    with engine.connect() as connection:
        listed = connection.execute(select(func.count()).where(stocks_stock.c.is_listed)).scalar_one()
        return {
            group: _counts(connection, group, since=at - timedelta(seconds=window_s[group]), at=at, listed=listed)
            | {"age_s": _ages(connection, group, at)}
            for group in GROUPS
        }


def read_why(engine: Engine, *, at: datetime, group: Literal["price", "metrics"] = "price") -> dict[str, int]:
    """Return the newest counts of a group by reason, as in {"unchanged_heard": 4000}; nothing if they are too old."""
    since = at - timedelta(seconds=WINDOW_S[group])
    scanner = {"price": "prices", "metrics": "metrics"}[group]
    run = scanner_run.c
    newest = (
        select(run.detail)
        .where(run.scanner == scanner, run.finished_at >= since, run.finished_at <= at)
        .order_by(run.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        detail = connection.execute(newest).scalar()
    return dict(detail.get("why", {})) if detail else {}


def _counts(connection: Connection, group: FieldGroup, *, since: datetime, at: datetime, listed: int) -> dict[str, int]:
    table = coverage_minute.c
    newest = (
        select(table.fresh, table.unchanged, table.no_trade, table.unknown, table.total)
        .where(table.field_group == group, table.minute >= since, table.minute <= at)
        .order_by(table.minute.desc())
        .limit(1)
    )
    if row := connection.execute(newest).mappings().first():
        return dict(row)
    told_at = stocks_stock.c[f"{group}_updated_at"]
    told = select(func.count()).where(stocks_stock.c.is_listed, told_at >= since, told_at <= at)
    fresh = connection.execute(told).scalar_one()
    return {"fresh": fresh, "unchanged": 0, "no_trade": 0, "unknown": listed - fresh, "total": listed}


def _ages(connection: Connection, group: FieldGroup, at: datetime) -> dict[str, float | None]:
    column = stocks_stock.c[f"{group}_updated_at"]
    times = connection.execute(select(column).where(stocks_stock.c.is_listed, column.is_not(None))).scalars()
    ages_s = sorted((at - time).total_seconds() for time in times)
    return {name: percentile(ages_s, share) for name, share in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100))}


def percentile(ordered: list[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of an ascending list; None of an empty one."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None
