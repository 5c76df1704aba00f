from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from storage.partitions import year_of
from storage.schema import METADATA, NEWEST_REVISION, VERSION_TABLE
from storage.schema_version import alembic_config


def test_the_migrated_schema_is_the_one_in_the_code(reader: Engine) -> None:
    """Defaults are compared on PostgreSQL alone: SQLite has no identity columns, and its ids count up without."""
    defaults = reader.dialect.name == "postgresql"
    options = {
        "compare_type": True,
        "compare_server_default": defaults,
        "version_table": VERSION_TABLE,
        "include_name": lambda name, kind, _parents: kind != "table" or year_of(name) is None,
    }
    with reader.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_the_newest_migration_is_the_schema_that_the_code_asks_for() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == NEWEST_REVISION
