from __future__ import annotations

from sqlalchemy import inspect

from storage import schema_version
from storage.engine import open_reader_engine
from storage.schema import METADATA

TABLES = {"scans", "scan_results", "scan_errors", "saved_scans", "signals"}


def tables(url: str) -> dict[str, list[str]]:
    engine = open_reader_engine(url, service="test")
    seen = inspect(engine)
    found = {table: [column["name"] for column in seen.get_columns(table)] for table in seen.get_table_names()}
    engine.dispose()
    return found


def test_going_back_takes_the_tables_away_and_forward_again_brings_them_back(database_url: str) -> None:
    schema_version.downgrade(database_url, "0003")
    assert not TABLES & tables(database_url).keys()
    schema_version.upgrade(database_url)
    assert tables(database_url).keys() >= TABLES


def test_the_tables_have_the_columns_that_the_code_names(database_url: str) -> None:
    found = tables(database_url)
    for table in TABLES:
        assert found[table] == [column.name for column in METADATA.tables[table].columns]
