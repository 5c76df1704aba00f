"""The partitions of `stocks_daily_bar` on PostgreSQL, one a year: makes what is needed, drops what is old.

Never touches a table that is not partitioned: SQLite's, or one that TimescaleDB keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from storage.schema import stocks_daily_bar
from storage.writer import Transaction

BARS = stocks_daily_bar.name
NAME = re.compile(rf"{BARS}_(\d{{4}})")


def year_of(table: str) -> int | None:
    """Return the year whose bars a table of this name holds; None if it is no partition of ours."""
    found = NAME.fullmatch(table)
    return int(found[1]) if found else None


def make_years(tx: Transaction, years: Iterable[int]) -> list[int]:
    """Make the partitions that are not there yet; return their years. A bar without one could not be written."""
    held = _held(tx)
    made = [] if held is None else sorted(set(years) - held)
    for year in made:
        # In two steps: CREATE TABLE ... PARTITION OF would stop every reader of the table.
        name, span = f"{BARS}_{year:04d}", f"FROM ('{year:04d}-01-01') TO ('{year + 1:04d}-01-01')"
        tx.connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {BARS} INCLUDING ALL)")
        tx.connection.exec_driver_sql(f"ALTER TABLE {BARS} ATTACH PARTITION {name} FOR VALUES {span}")
    return made


def drop_before(tx: Transaction, day: date) -> list[int]:
    """Drop each partition all of whose bars are older than `day`; return their years."""
    dropped = sorted(year for year in _held(tx) or () if year < day.year)
    for year in dropped:
        tx.connection.exec_driver_sql(f"DROP TABLE {BARS}_{year:04d}")
    return dropped


def _held(tx: Transaction) -> set[int] | None:
    """Return the years that have a partition; None if the table is not partitioned."""
    if tx.dialect != "postgresql":
        return None
    rows = tx.execute("bar_partitions").scalars().all()  # the table itself first, if it is partitioned
    return {year for name in rows if (year := year_of(name)) is not None} if BARS in rows else None
