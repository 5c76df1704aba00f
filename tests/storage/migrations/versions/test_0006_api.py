from __future__ import annotations

from sqlalchemy import inspect

from storage import schema_version
from storage.engine import open_reader_engine
from storage.schema import METADATA

TABLES = {"users", "sign_in", "refresh_token", "api_token", "audit_log", "api_idempotency", "signal_event"}


def tables(url: str) -> dict[str, list[str]]:
    engine = open_reader_engine(url, service="test")
    seen = inspect(engine)
    found = {table: [column["name"] for column in seen.get_columns(table)] for table in seen.get_table_names()}
    engine.dispose()
    return found


def test_going_back_takes_the_tables_away_and_forward_again_brings_them_back(database_url: str) -> None:
    schema_version.downgrade(database_url, "0004")
    assert not TABLES & tables(database_url).keys()
    schema_version.upgrade(database_url)
    found = tables(database_url)
    assert found.keys() >= TABLES
    for table in TABLES:
        assert found[table] == [column.name for column in METADATA.tables[table].columns]
