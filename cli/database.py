"""`tickerd db`: the schema's version, up and down."""

from __future__ import annotations

import click

from cli.common import load, print_json, with_both, with_config
from core.config import redacted
from core.errors import EXIT_CONFIG, EXIT_DONE
from storage import schema_version


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
@with_both
def check(config_file: str | None, as_json: bool) -> int:
    """Compare the database's schema with this program's. Exit 0 if they are the same, 78 if not."""
    url = load(config_file).settings.database.url
    state = schema_version.check(url)
    if as_json:
        print_json({"url": redacted(url), "state": state.state, "current": state.current, "newest": state.newest})
    else:
        click.echo(f"{redacted(url)}: {state.state} (schema {state.current or 'none'}, program {state.newest})")
    return EXIT_DONE if state.state == "current" else EXIT_CONFIG


@db.command()
@with_config
def upgrade(config_file: str | None) -> None:
    """Bring the schema to this program's version; creates the tables of an empty database."""
    url = load(config_file).settings.database.url
    schema_version.upgrade(url)
    click.echo(f"{redacted(url)}: schema is current")


@db.command()
@click.argument("revision")
@click.confirmation_option(prompt="Going back drops columns and tables with what is in them. Go on?")
@with_config
def downgrade(revision: str, config_file: str | None) -> None:
    """Take the schema back to REVISION (`base` removes every table)."""
    url = load(config_file).settings.database.url
    schema_version.downgrade(url, revision)
    click.echo(f"{redacted(url)}: schema is {revision}")
