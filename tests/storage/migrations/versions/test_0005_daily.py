from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from core.errors import FixByHand
from storage import schema_version
from storage.engine import open_engine
from storage.schema import METADATA, stocks_daily_bar, stocks_stock

TABLES = {
    *("daily_progress", "listing_event", "daily_stale_field", "quality_refusal"),
    *("truth_audit", "truth_finding", "truth_witness"),
}
BARS = """
    INSERT INTO stocks_daily_bar (ticker, session_date, open, high, low, close, volume, source)
    VALUES ('A', '1999-12-31', 1, 2, 1, 2, 7, 'chart'), ('A', '2026-11-23', 3, 4, 3, 4, NULL, 'quote')
"""
HELD = "SELECT ticker, session_date, close, volume FROM stocks_daily_bar ORDER BY session_date"
KEPT = [("A", "1999-12-31", 2.0, 7), ("A", "2026-11-23", 4.0, None)]


def held(url: str) -> list[tuple[object, ...]]:
    engine = open_engine(url, service="test")
    with engine.connect() as connection:
        rows = [(row[0], str(row[1]), *row[2:]) for row in connection.execute(text(HELD))]
    engine.dispose()
    return rows


def run(url: str, *statements: str) -> None:
    engine = open_engine(url, service="test")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_there_and_back_keeps_every_bar_and_has_every_column(database_url: str) -> None:
    schema_version.downgrade(database_url, "0004")
    run(database_url, BARS)
    schema_version.upgrade(database_url)
    assert held(database_url) == KEPT
    engine = open_engine(database_url, service="test")
    seen = inspect(engine)
    for table in (*TABLES, stocks_stock.name, stocks_daily_bar.name):
        found = {column["name"] for column in seen.get_columns(table)}
        assert found == set(METADATA.tables[table].columns.keys())
    engine.dispose()
    schema_version.downgrade(database_url, "0004")
    assert held(database_url) == KEPT


def test_each_year_of_the_old_rows_has_its_partition_and_the_rights_of_others_stay(postgresql_url: str) -> None:
    schema_version.downgrade(postgresql_url, "0004")
    grants = "GRANT SELECT ON stocks_daily_bar TO reporter", "GRANT SELECT ON stocks_daily_bar TO PUBLIC"
    run(postgresql_url, BARS, "CREATE ROLE reporter", *grants)
    schema_version.upgrade(postgresql_url)
    engine = open_engine(postgresql_url, service="test")
    with engine.connect() as connection:
        tables = "SELECT tableoid::regclass::text FROM stocks_daily_bar ORDER BY session_date"
        assert connection.execute(text(tables)).scalars().all() == ["stocks_daily_bar_1999", "stocks_daily_bar_2026"]
        made = inspect(connection).get_table_names()
        this_year = connection.execute(text("SELECT CURRENT_DATE")).scalar_one().year
        years = range(1999, max(2026, this_year) + 2)
        assert {name for name in made if name.startswith("stocks_daily_bar_")} == {
            f"stocks_daily_bar_{year}" for year in years
        }
        assert connection.execute(text("SELECT has_table_privilege('reporter', 'stocks_daily_bar', 'SELECT')")).scalar()
        assert connection.execute(
            text("SELECT relacl::text LIKE '%=r/tickerd%' FROM pg_class WHERE relname = 'stocks_daily_bar'")
        ).scalar()
    engine.dispose()
    run(postgresql_url, "DROP OWNED BY reporter", "DROP ROLE reporter")


def test_a_view_of_the_users_own_is_named_and_nothing_is_changed(postgresql_url: str) -> None:
    schema_version.downgrade(postgresql_url, "0004")
    run(postgresql_url, BARS, "CREATE VIEW mine AS SELECT MAX(close) AS top FROM stocks_daily_bar")
    with pytest.raises(FixByHand, match="a view stands on stocks_daily_bar; drop mine, upgrade, and make"):
        schema_version.upgrade(postgresql_url)
    assert schema_version.check(postgresql_url).current == "0004"
    assert held(postgresql_url) == KEPT
