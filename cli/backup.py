"""`tickerd db backup|restore|export`: saves the database, brings it back, carries its tables elsewhere."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy import Engine

from cli.common import load, open_table, print_json, with_both
from core.clock import SystemClock
from core.config import redacted
from core.errors import FixByHand
from storage.backup import back_up
from storage.export import TABLES, write_csv, write_parquet
from storage.restore import restore_database, restore_folder
from storage.schema import NEWEST_REVISION


@click.command(short_help="Save database, configuration and proxies in one file.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Folder for it. Default: [backup] dir.")
@click.option("--keep", type=click.IntRange(min=1), help="Remove all but the newest so many there. Default: none.")
@with_both
def backup(folder: Path | None, keep: int | None, config_file: str | None, as_json: bool) -> None:
    """Save the database, the configuration and the proxies in one file, while everything goes on running.

    The file holds the configuration as it stands, passwords included: only its owner can read it.
    """
    loaded = load(config_file)
    wanted = folder or Path(loaded.settings.backup.dir)
    made = back_up(loaded.settings, config_file=loaded.file, at=SystemClock().utc_now(), folder=wanted, keep=keep)
    held = made.manifest.database
    if as_json:
        document = {"schema": held.schema, "origin": held.origin, "seq": held.seq, "counts": held.counts}
        created_at = made.manifest.created_at
        removed = [file.name for file in made.removed]
        print_json({"file": str(made.file), "created_at": created_at, "database": document, "removed": removed})
        return
    click.echo(f"{made.file}: {made.file.stat().st_size / 1e6:.1f} MB, {sum(held.counts.values()):,} rows")
    for file in made.removed:
        click.echo(f"removed {file.name}")


@click.command(short_help="Bring a backup back into an empty place.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "folder", type=click.Path(path_type=Path), help="An empty or new folder for all that is in it.")
@with_both
def restore(file: Path, folder: Path | None, config_file: str | None, as_json: bool) -> None:
    """Bring the backup FILE back. Nothing is ever overwritten.

    Without --to only the database comes back, to [database] url. With it configuration and proxies come too, into
    that folder, and so does a SQLite database; a PostgreSQL database always goes to [database] url.
    """
    url = load(config_file).settings.database.url
    manifest, target = (restore_database(file, url), url) if folder is None else restore_folder(file, folder, url)
    held = manifest.database
    if as_json:
        print_json({"database": redacted(target), "schema": held.schema, "origin": held.origin, "counts": held.counts})
        return
    rows = sum(held.counts.values())
    click.echo(f"{redacted(target)}: {rows:,} rows as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC")
    if held.schema != NEWEST_REVISION:
        click.echo("its schema is older than this program's: run `tickerd db upgrade`")


@click.command(short_help="Write a table as CSV or Parquet.")
@click.argument("file")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), required=True, help="csv or parquet.")
@click.option("--table", "name", type=click.Choice(list(TABLES)), default="stocks_stock", show_default=True)
@with_both
def export(file: str, form: str, name: str, config_file: str | None, as_json: bool) -> None:
    """Write a table to FILE (- is standard output) as CSV or Parquet; it is replaced in one step."""
    engine = open_table(load(config_file))
    try:
        if file == "-":
            _write(engine, form, name, sys.stdout.buffer)
            return
        rows = _write_file(engine, form, name, Path(file))
    finally:
        engine.dispose()
    if as_json:
        print_json({"file": file, "table": name, "rows": rows})
    else:
        click.echo(f"{file}: {rows:,} rows of {name}")


def _write_file(engine: Engine, form: str, name: str, file: Path) -> int:
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as out:
            rows = _write(engine, form, name, out)
        os.replace(part, file)
    except OSError as error:
        raise FixByHand(f"cannot be written ({error.strerror})", where=str(file), right="give another file") from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _write(engine: Engine, form: str, name: str, out: BinaryIO) -> int:
    if form == "parquet":
        return write_parquet(engine, TABLES[name], out)
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    try:
        return write_csv(engine, TABLES[name], text)
    finally:
        text.detach()
