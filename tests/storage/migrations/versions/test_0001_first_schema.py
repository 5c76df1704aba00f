from __future__ import annotations

from sqlalchemy import Engine, inspect, text

from storage import schema_version
from storage.engine import open_reader_engine
from storage.partitions import year_of
from storage.schema import METADATA, VERSION_TABLE


def test_going_back_leaves_no_table_and_forward_again_makes_all(database_url: str) -> None:
    schema_version.downgrade(database_url, "base")
    assert tables(database_url) <= {VERSION_TABLE}
    schema_version.upgrade(database_url)
    assert tables(database_url) == set(METADATA.tables) | {VERSION_TABLE}


def test_pages_of_the_hot_table_keep_room_on_postgresql(reader: Engine) -> None:
    if reader.dialect.name != "postgresql":
        return
    with reader.connect() as connection:
        options = connection.execute(
            text("SELECT reloptions FROM pg_class WHERE relname = 'stocks_stock'")
        ).scalar_one()
    assert "fillfactor=45" in options


def tables(url: str) -> set[str]:
    engine = open_reader_engine(url, service="test")
    found = {name for name in inspect(engine).get_table_names() if year_of(name) is None}
    engine.dispose()
    return found
