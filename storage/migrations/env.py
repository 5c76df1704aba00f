"""Runs the migrations on the connection that `storage.schema_version` hands over. Opens none of its own."""

from __future__ import annotations

from alembic import context

from storage.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    version_table=VERSION_TABLE,
    compare_type=True,
    compare_server_default=True,
    transactional_ddl=True,  # SQLite's DDL is transactional; Alembic assumes that Python's driver spoils it
    transaction_per_migration=False,
)
context.run_migrations()
