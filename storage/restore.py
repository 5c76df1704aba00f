"""Brings a backup back into an empty place and proves that it is whole. Never overwrites anything."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.config import redacted
from core.errors import FixByHand
from core.files import make_folder
from storage import archive, dump, schema_version
from storage.archive import CONFIG, DATABASE, PROXIES, Facts, Manifest
from storage.backup import check_copy, read_facts
from storage.engine import SQLITE, file_of, open_engine, writers_lock
from storage.schema import NEWEST_REVISION, VERSION_TABLE

SERVICE = "restore"
DATABASE_NAME = "tickerd.db"
BESIDE = ("-wal", "-shm", "-journal")  # SQLite would take these for the restored file's own


def restore_database(backup: Path, url: str) -> Manifest:
    """Bring the database of `backup` back to `url`, which must hold nothing."""
    with _unpacked(backup, url) as (work, manifest):
        _bring_back(work, manifest, backup, url)
    return manifest


def restore_folder(backup: Path, folder: Path, url: str) -> tuple[Manifest, str]:
    """Bring all of `backup` back: configuration, proxies and a SQLite database into the empty `folder`.

    A PostgreSQL database goes to `url`. Return the manifest and the URL of the database.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FixByHand("is not an empty folder", where=str(folder), right="give an empty or a new one")
    make_folder(folder)
    target = f"{SQLITE}{folder.resolve() / DATABASE_NAME}" if file_of(url) is not None else url
    with _unpacked(backup, target) as (work, manifest):
        _bring_back(work, manifest, backup, target)
        for name in manifest.files.keys() & {CONFIG, PROXIES}:
            shutil.copy(work / name, folder / name)  # the work folder of PostgreSQL's may be on another disk
    return manifest, target


@contextmanager
def _unpacked(backup: Path, url: str) -> Iterator[tuple[Path, Manifest]]:
    with tempfile.TemporaryDirectory(dir=_folder_for(file_of(url)), prefix=".tickerd-restore-") as work:
        manifest = archive.unpack(backup, Path(work))
        _refuse_misfit(manifest, backup, url)
        yield Path(work), manifest


def _bring_back(work: Path, manifest: Manifest, backup: Path, url: str) -> None:
    content, file = work / DATABASE[manifest.kind], file_of(url)
    if file is None:
        _restore_postgresql(manifest, content, backup, url)
    else:
        _check(manifest, check_copy(content), backup)
        _place(content, file, url)


def _folder_for(file: Path | None) -> Path | None:
    if file is not None and not file.parent.is_dir():
        raise FixByHand(f"the folder {file.parent} does not exist", where=str(file), right="create it")
    return file and file.parent


def _refuse_misfit(manifest: Manifest, backup: Path, url: str) -> None:
    wanted = "postgresql" if file_of(url) is None else "sqlite"
    if manifest.kind != wanted:
        right = "set database.url to one of that kind, or carry the tables over by `tickerd db export`"
        raise FixByHand(f"is a backup of {manifest.kind}, not of {wanted}", where=str(backup), right=right)
    if manifest.database.schema > NEWEST_REVISION:
        raise FixByHand(
            f"has schema {manifest.database.schema}, this program knows {NEWEST_REVISION}",
            where=str(backup),
            right=f"install tickerd {manifest.program} or newer",
        )


def _check(manifest: Manifest, found: Facts, backup: Path) -> None:
    for name in Facts.__struct_fields__:
        held, wanted = getattr(found, name), getattr(manifest.database, name)
        if held != wanted:
            reason = f"its database has the {name} {held}, not {wanted}"
            raise FixByHand(reason, where=str(backup), right=archive.RIGHT)


def _place(content: Path, file: Path, url: str) -> None:
    with writers_lock(url):
        for name in (file.name, *(file.name + ending for ending in BESIDE)):
            if file.with_name(name).exists():
                right = "move it away, or restore to an empty folder with --to"
                raise FixByHand(
                    "exists, and a restore overwrites nothing", where=str(file.with_name(name)), right=right
                )
        os.replace(content, file)


def _restore_postgresql(manifest: Manifest, content: Path, backup: Path, url: str) -> None:
    if schema_version.check(url).state != "empty":
        right = "give an empty database"
        raise FixByHand("holds tables, and a restore overwrites nothing", where=redacted(url), right=right)
    engine = open_engine(url, service=SERVICE)
    try:
        with engine.begin() as connection:
            # Left, and empty, where the schema was taken back to "base".
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")
            major = dump.server_major(connection)
        dump.restore(url, content, major=major)
        with engine.connect() as connection:
            _check(manifest, read_facts(connection), backup)
    finally:
        engine.dispose()
