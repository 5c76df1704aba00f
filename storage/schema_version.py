"""Compares the database's schema with this program's and moves it. Touches nothing newer or foreign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, inspect

from core.config import redacted
from core.errors import FixByHand
from storage.engine import FULL_BY_OPTION, file_of, open_engine, open_reader_engine, writers_lock
from storage.queries import query
from storage.schema import METADATA, NEWEST_REVISION, VERSION_TABLE, stocks_stock

if TYPE_CHECKING:
    from alembic.config import Config

SERVICE = "schema"
CHECK_TIMEOUT_S = 1.0  # readers of a file in WAL mode wait for nobody but a program that locks them out for good
MIGRATION_TIMEOUT_S = 600.0  # a statement of a migration may rewrite a whole table
UPGRADE = "run `tickerd db upgrade`"
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """`current`: the revision found, None without one; `newest`: this program's."""

    current: str | None
    newest: str
    state: Literal["empty", "current", "older", "newer", "foreign"]


def check(url: str) -> SchemaState:
    """Return how the database's schema stands to this program's. Reads only; a file not made yet is "empty"."""
    file = file_of(url)
    if file is not None and file.parent.is_dir() and not file.exists():
        return _state(tables=set(), revision=None)
    engine = open_reader_engine(url, service=SERVICE, busy_timeout_s=CHECK_TIMEOUT_S)
    try:
        with engine.connect() as connection:
            return read_state(connection)
    finally:
        engine.dispose()


def read_state(connection: Connection) -> SchemaState:
    """Return the state as this connection sees it."""
    tables = set(inspect(connection).get_table_names())
    revision = None
    if VERSION_TABLE in tables:
        revision = connection.exec_driver_sql(query("read_schema_revision", connection.dialect.name)).scalar()
    return _state(tables=tables, revision=revision)


def _state(*, tables: set[str], revision: str | None) -> SchemaState:
    """Decide; our revisions are numbers of four digits, so that an older program can tell a newer schema."""
    state: Literal["empty", "current", "older", "newer", "foreign"]
    if not tables or (tables == {VERSION_TABLE} and revision is None):
        state = "empty"
    elif revision is None or not revision.isdigit() or stocks_stock.name not in tables:
        state = "foreign"
    elif revision == NEWEST_REVISION:
        state = "current"
    else:
        state = "older" if revision < NEWEST_REVISION else "newer"
    return SchemaState(current=revision, newest=NEWEST_REVISION, state=state)


def require_current(url: str) -> None:
    """Raise FixByHand, saying what to do, unless the schema is this program's."""
    found = check(url)
    refuse_strange(found, url)
    if found.state != "current":
        reason = "holds no tables yet" if found.state == "empty" else f"has schema {found.current}, not {found.newest}"
        raise FixByHand(reason, where=_said(url), right=UPGRADE)


def refuse_strange(found: SchemaState, url: str) -> None:
    """Raise FixByHand for a schema that this program must not touch."""
    if found.state == "newer":
        raise FixByHand(
            f"has schema {found.current}, this program knows {found.newest}",
            where=_said(url),
            right="install the newer tickerd or set database.url",
        )
    if found.state == "foreign":
        raise FixByHand(
            "holds tables of another application", where=_said(url), right="set database.url to a database of its own"
        )


def upgrade(url: str) -> SchemaState:
    """Bring the schema to this program's, making the SQLite file if there is none; return what was found before."""
    refuse_strange(check(url), url)
    return _migrate(url, "head")


def downgrade(url: str, revision: str) -> SchemaState:
    """Take the schema back to `revision` ("base" drops every table); return what was found before."""
    found = check(url)
    refuse_strange(found, url)
    known = ["base", *(f"{number:04d}" for number in range(1, int(NEWEST_REVISION) + 1))]
    if revision not in known:
        raise FixByHand(f"there is no schema {revision}", where=_said(url), right=f"give one of {', '.join(known)}")
    if found.state == "empty":
        return found
    return _migrate(url, revision)


def _migrate(url: str, target: str) -> SchemaState:
    """Move the schema in one transaction, one process at a time, from a state read under the lock."""
    engine = open_engine(url, service=SERVICE, create=True, statement_timeout_s=MIGRATION_TIMEOUT_S)
    with writers_lock(url):
        try:
            return _in_one_transaction(engine, url, target)
        finally:
            engine.dispose()


def _in_one_transaction(engine: Engine, url: str, target: str) -> SchemaState:
    # Imported here: only a migration needs Alembic, and every scanner imports this module.
    from alembic import command

    with engine.execution_options(**{FULL_BY_OPTION: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(query("lock_writers", "postgresql"))
        found = read_state(connection)
        refuse_strange(found, url)
        if (target == "head" and found.state == "current") or found.current == target:
            return found
        config = alembic_config()
        config.attributes["connection"] = connection
        (command.upgrade if target == "head" else command.downgrade)(config, target)
        if target != "base":
            revision = read_state(connection).current
            values = {"key": "schema", "value": revision}
            connection.exec_driver_sql(query("put_meta", connection.dialect.name), values)
    return found


def alembic_config() -> Config:
    """Return Alembic's configuration: no file, the scripts beside this module."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["metadata"] = METADATA
    return config


def _said(url: str) -> str:
    return str(file_of(url) or redacted(url))
