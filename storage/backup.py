"""Backs up the database, the configuration and the proxies into one .tar while writers write. Never writes to them.

As a process of its own (`python -P -m storage.backup`) it makes one backup by `[backup]` and ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, table

from core import config
from core.clock import SystemClock
from core.errors import FixByHand, RetryLater
from core.files import FileLock, acquire_or_say, make_folder
from core.logs import get_logger
from core.notify import Notifier
from core.program import run
from core.settings import Settings
from market.eastern import last_daily
from storage import archive, dump, schema_version
from storage.archive import Facts, Manifest
from storage.engine import file_of, open_reader_engine, translate
from storage.queries import query
from storage.schema import METADATA

log = get_logger(__name__)

SERVICE = "backup"
NAME = re.compile(r"tickerd-\d{8}T\d{6}Z\.tar")
PART = ".tickerd-backup-"
BEAT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A finished backup and, newest first, the older ones that were removed for it."""

    file: Path
    manifest: Manifest
    removed: tuple[Path, ...]


def back_up(settings: Settings, *, config_file: Path | None, at: datetime, folder: Path, keep: int | None) -> Backup:
    """Make a backup in `folder` and keep only the newest `keep` there (None: all).

    RetryLater: another backup runs there, or the database or the disk is away. FixByHand: there is nothing to save.
    """
    url = settings.database.url
    found = schema_version.check(url)
    schema_version.refuse_strange(found, url)
    if found.state == "empty":
        schema_version.require_current(url)
    extras = {archive.CONFIG: config_file, archive.PROXIES: Path(settings.proxies.file)}
    file = make_folder(folder) / f"tickerd-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"
    with _alone_in(folder) as work:
        try:
            manifest = _make(url, work, file, extras, at)
        except OSError as error:
            raise RetryLater(f"cannot be written ({error})", where=str(file), right="check the disk") from error
        removed = prune(folder, keep) if keep is not None else ()
    return Backup(file=file, manifest=manifest, removed=removed)


def _make(url: str, work: Path, file: Path, extras: dict[str, Path | None], at: datetime) -> Manifest:
    kind: archive.Kind = "postgresql" if file_of(url) is None else "sqlite"
    database = work / archive.DATABASE[kind]
    facts = _copy_sqlite(url, database) if kind == "sqlite" else _dump_postgresql(url, database)
    files = {database.name: database} | {name: path for name, path in extras.items() if path and path.is_file()}
    part = work / file.name
    manifest = archive.pack(part, files, program=version("tickerd"), at=at, kind=kind, facts=facts)
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    os.replace(part, file)
    return manifest


def prune(folder: Path, keep: int) -> tuple[Path, ...]:
    """Remove all but the newest `keep` backups of `folder`; return what was removed. Other files stay."""
    backups = sorted((file for file in folder.iterdir() if NAME.fullmatch(file.name)), reverse=True)
    for file in backups[keep:]:
        file.unlink()
    return tuple(backups[keep:])


@contextmanager
def _alone_in(folder: Path) -> Iterator[Path]:
    """Give a work folder inside `folder`, one process at a time; what a killed one left is removed."""
    lock = FileLock(folder / ".lock")
    acquire_or_say(lock, what="a backup")
    try:
        lock.write_owner(str(os.getpid()))
        for left in folder.glob(f"{PART}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=folder, prefix=PART) as work:
            yield Path(work)
    finally:
        lock.release()


def _copy_sqlite(url: str, target: Path) -> Facts:
    """Copy the database as it is at one moment; in WAL mode no writer waits for that."""
    engine = open_reader_engine(url, service=SERVICE)
    copy = sqlite3.connect(target)
    try:
        with engine.connect() as connection:
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(copy)  # in one step: in several it would start again after every commit
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
    except sqlite3.Error as error:
        if told := translate(error, url):
            raise told from error
        raise
    finally:
        copy.close()
        engine.dispose()
    return check_copy(target)


def check_copy(file: Path) -> Facts:
    """Return what a copied SQLite file holds; FixByHand if it is damaged."""
    engine = open_reader_engine(f"sqlite:///{file}", service=SERVICE)
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise FixByHand(f"the copy is damaged ({found})", where=str(file), right="check disk and database")
            return read_facts(connection)
    finally:
        engine.dispose()


def _dump_postgresql(url: str, target: Path) -> Facts:
    """Dump and count in one snapshot, so that both say the same whatever is written meanwhile."""
    engine = open_reader_engine(url, service=SERVICE)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            dump.dump(url, connection, target)
            return read_facts(connection)
    finally:
        engine.dispose()


def read_facts(connection: Connection) -> Facts:
    """Return what the database holds of our tables; an older schema may lack some."""
    dialect = connection.dialect.name
    held = set(inspect(connection).get_table_names())
    counts = {
        name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
        for name in METADATA.tables
        if name in held
    }
    return Facts(
        schema=str(connection.exec_driver_sql(query("read_schema_revision", dialect)).scalar_one()),
        origin=connection.exec_driver_sql(query("read_meta", dialect), {"key": "origin"}).scalar_one_or_none(),
        seq=int(connection.exec_driver_sql(query("newest_seq", dialect)).scalar_one()),
        counts=counts,
    )


def is_made(settings: Settings, now: datetime) -> bool:
    """True if the folder holds a backup made since the last one was due: starting this again is never wrong."""
    due_at = last_daily(now, time.fromisoformat(settings.backup.at), settings.market.timezone)
    since = f"tickerd-{due_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"
    return any(NAME.fullmatch(file.name) and file.name >= since for file in Path(settings.backup.dir).glob("*.tar"))


async def main(settings: Settings, _stop: asyncio.Event, notifier: Notifier) -> None:
    """Make the backup that `[backup]` asks for, if it is not made yet."""
    clock = SystemClock()
    at, folder = clock.utc_now(), Path(settings.backup.dir)
    if is_made(settings, at):
        log.info("backup_not_due", folder=str(folder))
        return
    config_file = config.find_file(None, os.environ, Path.cwd())
    making = asyncio.ensure_future(
        asyncio.to_thread(back_up, settings, config_file=config_file, at=at, folder=folder, keep=settings.backup.keep)
    )
    notifier.ready()
    while not making.done():  # a large database takes minutes, in which the supervisor must not think it hung
        notifier.beat()
        await asyncio.wait([making], timeout=BEAT_S)
    made = making.result()
    size_mb = round(made.file.stat().st_size / 1e6, 3)
    log.info("backup_written", file=str(made.file), size_mb=size_mb, rows=sum(made.manifest.database.counts.values()))
    if made.removed:
        log.info("old_backups_removed", files=[file.name for file in made.removed])


if __name__ == "__main__":
    sys.exit(run(main, service=SERVICE))
