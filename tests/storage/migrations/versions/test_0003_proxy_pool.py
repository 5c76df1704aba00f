from __future__ import annotations

from sqlalchemy import inspect, text

from storage import schema_version
from storage.engine import open_engine
from storage.schema import METADATA

OLD = """
    INSERT INTO proxy (address, protocol, state, first_seen)
    VALUES ('1.2.3.4:80', 'http', 'live', '2026-11-23 17:00:00')
"""


def columns(url: str, table: str) -> set[str]:
    engine = open_engine(url, service="test")
    found = {column["name"] for column in inspect(engine).get_columns(table)}
    engine.dispose()
    return found


def test_going_back_and_forward_again_keeps_the_proxies_and_has_every_column(database_url: str) -> None:
    schema_version.downgrade(database_url, "0002")
    assert "crumb" not in columns(database_url, "proxy")
    engine = open_engine(database_url, service="test")
    with engine.begin() as connection:
        connection.execute(text(OLD))
    schema_version.upgrade(database_url)
    for table in ("proxy", "proxy_source"):
        assert columns(database_url, table) == set(METADATA.tables[table].columns.keys())
    with engine.connect() as connection:
        row = connection.execute(text("SELECT state, score_ok, strikes, cookie, crumb, minted_at FROM proxy")).one()
    engine.dispose()
    assert tuple(row) == ("live", 0.0, 0.0, "", "", None)
