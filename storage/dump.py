"""Runs PostgreSQL's own pg_dump and pg_restore. Never puts a password where other users could see it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, make_url

from core.config import redacted
from core.errors import FixByHand, RetryLater
from storage.schema import METADATA, VERSION_TABLE, VIEWS, stocks_daily_bar

INSTALLED = Path("/usr/lib/postgresql")  # Debian keeps one folder a version there, beside the wrappers in PATH


def dump(url: str, connection: Connection, target: Path) -> None:
    """Write our tables to `target` as the open transaction of `connection` sees them."""
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    partitions = f"{stocks_daily_bar.name}_*"  # pg_dump takes a partition for a table of its own
    names = [*METADATA.tables, partitions, *VIEWS, VERSION_TABLE]
    wanted = [f"--table={name}" for name in names]
    command = [find("pg_dump", server_major(connection)), "--format=custom", f"--snapshot={snapshot}", *wanted]
    _run([*command, "--no-owner", "--no-privileges", f"--file={target}"], url)


def restore(url: str, source: Path, *, major: int) -> None:
    """Make the tables of a dump, all of them or none, on a server of version `major`."""
    command = [find("pg_restore", major), "--single-transaction", "--exit-on-error"]
    _run([*command, "--no-owner", "--no-privileges", str(source)], url)


def server_major(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000


def find(tool: str, major: int, *, installed: Path = INSTALLED) -> str:
    """Return the program `tool` that fits a server of version `major`: of that version, else the one in PATH."""
    fitting = installed / str(major) / "bin" / tool
    found = str(fitting) if fitting.exists() else shutil.which(tool)
    if found is None:
        raise FixByHand(f"{tool} is not installed", right=f"install the PostgreSQL {major} client programs")
    return found


def _run(command: list[str], url: str) -> None:
    environ, database = address(url)
    command = [*command, f"--dbname={database}"]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise RetryLater(said, where=redacted(url), right="mend that and try again")


def address(url: str) -> tuple[dict[str, str], str]:
    """Return (environment, connection string): the password goes through the environment alone."""
    parsed = make_url(url)
    _, given = parsed.get_dialect()().create_connect_args(parsed)
    password = given.pop("password", None)
    return {} if password is None else {"PGPASSWORD": str(password)}, make_conninfo(**given)
