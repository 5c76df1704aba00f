from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from core.clock import SystemClock
from storage import schema_version
from storage.histories import replace_history
from storage.partitions import drop_before, make_years, year_of
from storage.writer import Writer


@pytest.mark.parametrize(
    ("table", "year"),
    [("stocks_daily_bar_2026", 2026), ("stocks_daily_bar", None), ("stocks_daily_bar_old", None), ("x_2026", None)],
)
def test_a_partition_is_known_by_its_name(table: str, year: int | None) -> None:
    assert year_of(table) == year


def test_a_year_is_made_once_and_dropped_only_when_all_of_it_is_old(postgresql_url: str) -> None:
    with Writer.open(postgresql_url, service="test", origin=None, clock=SystemClock()) as writer:
        assert writer.run(lambda tx: make_years(tx, [2040, 2041, 2040]), source="test") == [2040, 2041]
        assert writer.run(lambda tx: make_years(tx, [2040, 2042]), source="test") == [2042]
        row = (1.0, 1.0, 1.0, 1.0, None, 1)
        replace_history(writer, "A", [(date(2040, 12, 31), *row), (date(2041, 1, 1), *row)], keep_older=False)
        this_year = writer.run(
            lambda tx: tx.connection.execute(text("SELECT CURRENT_DATE")).scalar_one(), source="test"
        ).year
        assert writer.run(lambda tx: drop_before(tx, date(2041, 12, 31)), source="test") == [
            this_year,
            this_year + 1,
            2040,
        ]
        left = "SELECT tableoid::regclass::text, session_date FROM stocks_daily_bar"
        rows = writer.run(lambda tx: tx.connection.execute(text(left)).all(), source="test")
        assert [tuple(row) for row in rows] == [("stocks_daily_bar_2041", date(2041, 1, 1))]


def test_a_table_that_is_not_partitioned_is_left_alone(writer: Writer) -> None:
    """SQLite's never is; TimescaleDB keeps its own kind of table."""
    if writer.dialect == "postgresql":
        remake = "DROP TABLE stocks_daily_bar; CREATE TABLE stocks_daily_bar (ticker text, session_date date)"
        writer.run(lambda tx: tx.connection.execute(text(remake)), source="test")
    assert writer.run(lambda tx: make_years(tx, [2040]), source="test") == []
    assert writer.run(lambda tx: drop_before(tx, date(2099, 1, 1)), source="test") == []


def test_the_statements_for_timescaledb_leave_one_table_with_every_bar(postgresql_url: str) -> None:
    """Without the extension the last statement is understood and its function is unknown."""
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
    block = page[page.index("    BEGIN;\n    CREATE TABLE stocks_daily_bar_flat") : page.index("    COMMIT;")]
    *moves, hypertable = [each.strip() for each in block.split(";") if each.strip() not in ("", "BEGIN")]
    with Writer.open(postgresql_url, service="test", origin=None, clock=SystemClock()) as writer:
        row = (1.0, 1.0, 1.0, 1.0, None, 1)
        replace_history(writer, "A", [(date(2040, 12, 31), *row)], keep_older=False)
        writer.run(lambda tx: [tx.connection.execute(text(each)) for each in moves], source="test")
        with pytest.raises(ProgrammingError, match=r"function by_range\(unknown, interval\) does not exist"):
            writer.run(lambda tx: tx.connection.execute(text(hypertable)), source="test")
        replace_history(writer, "A", [(date(2051, 1, 1), *row)], keep_older=True)
        count = "SELECT COUNT(*), MAX(relkind::text) FROM stocks_daily_bar, pg_class WHERE relname = 'stocks_daily_bar'"
        assert tuple(writer.run(lambda tx: tx.connection.execute(text(count)).one(), source="test")) == (2, "r")
    schema_version.downgrade(postgresql_url, "0004")
