"""`tickerd db`: the schema's version, up and down; backup, restore and export are in cli/backup.py."""

from __future__ import annotations

import click

from cli.backup import backup, export, restore
from cli.common import load, print_json, with_both
from core.config import redacted
from storage import schema_version


@click.group()
def db() -> None:
    """The database: its schema, backups, exports."""


for command in (backup, restore, export):
    db.add_command(command)


@db.command(short_help="Compare the schema with this program's.")
@with_both
def check(config_file: str | None, as_json: bool) -> None:
    """Compare the database's schema with this program's. Exit 0 if they are the same, 78 if not."""
    url = load(config_file).settings.database.url
    _say(url, as_json)
    schema_version.require_current(url)


@db.command(short_help="Bring the schema to this program's version.")
@with_both
def upgrade(config_file: str | None, as_json: bool) -> None:
    """Bring the schema to this program's version; creates the tables of an empty database."""
    url = load(config_file).settings.database.url
    schema_version.upgrade(url)
    _say(url, as_json)


@db.command(short_help="Take the schema back to REVISION.")
@click.argument("revision")
@click.confirmation_option(prompt="Going back drops columns and tables with what is in them. Go on?")
@with_both
def downgrade(revision: str, config_file: str | None, as_json: bool) -> None:
    """Take the schema back to REVISION (`base` removes every table)."""
    url = load(config_file).settings.database.url
    schema_version.downgrade(url, revision)
    _say(url, as_json)


def _say(url: str, as_json: bool) -> None:
    found = schema_version.check(url)
    if as_json:
        print_json({"url": redacted(url), "state": found.state, "current": found.current, "newest": found.newest})
    else:
        click.echo(f"{redacted(url)}: {found.state} (schema {found.current or 'none'}, program {found.newest})")
