"""`tickerd user`: the accounts of the API, from the machine itself. Needs no running API and no password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.common import load, open_table, plain_table, print_json, show, with_both
from core.clock import SystemClock
from core.errors import TickerdError

if TYPE_CHECKING:
    from storage.writer import Writer

ROLES = ("viewer", "analyst", "operator", "admin", "user")


@click.group()
def user() -> None:
    """The users of the API and the dashboard."""


@user.command(name="list", short_help="List the users.")
@with_both
def list_users(config_file: str | None, as_json: bool) -> None:
    """List the users and what they may."""
    from storage import accounts

    engine = open_table(load(config_file))
    rows = accounts.read_users(engine, limit=10_000)
    engine.dispose()
    if as_json:
        print_json({"users": rows})
        return
    table = plain_table("name", "role", "state", last="last sign-in")
    for row in rows:
        state = "active" if row["is_active"] else "locked out"
        last = f"{row['last_login']:%Y-%m-%d %H:%M} UTC" if row["last_login"] else "never"
        table.add_row(
            row["name"], row["role"], "must choose a password" if row["must_change_password"] else state, last
        )
    show([table])


@user.command(short_help="Add a user.")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What the user may.")
@click.option("--email", help="To sign in with, beside the name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made.")
@with_both
def add(name: str, role: str, email: str | None, password_stdin: bool, config_file: str | None, as_json: bool) -> None:
    """Add a user; a password that is made is printed once and must be changed at the first sign-in."""
    from api.auth.accounts import checked_email, checked_name, checked_role
    from storage import accounts

    name, role, email = checked_name(name), checked_role(role), checked_email(email)
    password, is_made = _password(name, password_stdin)
    new = accounts.NewUser(
        name=name, password_hash=_hashed(password), role=role, email=email, must_change_password=is_made
    )
    with _writer(config_file) as writer:
        accounts.add_user(writer, new, at=SystemClock().utc_now())
    _tell(name, password if is_made else None, as_json)


@user.command(short_help="Give a user another password.")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made.")
@with_both
def passwd(name: str, password_stdin: bool, config_file: str | None, as_json: bool) -> None:
    """Give a user another password; its sign-ins end. One that is made must be changed at the next sign-in."""
    from api.auth.start import ADMIN, forget_first_password
    from storage import accounts

    engine = open_table(load(config_file))
    found = accounts.read_user(engine, name=name.strip().casefold())
    engine.dispose()
    if found is None:
        raise TickerdError("there is no such user", where=name, right="see `tickerd user list`")
    password, is_made = _password(found["name"], password_stdin)
    values = {"password_hash": _hashed(password), "must_change_password": is_made, "is_active": True}
    with _writer(config_file) as writer:
        accounts.change_user(writer, found["id"], values, at=SystemClock().utc_now())
    if found["name"] == ADMIN:
        forget_first_password(Path(load(config_file).settings.state.dir))
    _tell(found["name"], password if is_made else None, as_json)


def _password(name: str, from_stdin: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made here and so serves for one time."""
    from api.auth.passwords import check_password, one_time_password

    if not from_stdin:
        return one_time_password(), True
    password = sys.stdin.readline().rstrip("\r\n")
    check_password(password, name=name)
    return password, False


def _hashed(password: str) -> str:
    from api.auth.passwords import hash_password

    return hash_password(password)


def _writer(config_file: str | None) -> Writer:
    from storage.writer import Writer

    url = load(config_file).settings.database.url
    return Writer.open(url, service="cli", origin=None, clock=SystemClock())


def _tell(name: str, password: str | None, as_json: bool) -> None:
    if as_json:
        said: dict[str, Any] = {"user": name, "password": password}
        print_json(said)
    elif password is None:
        click.echo(f"{name}: done")
    else:
        click.echo(f"{name}: sign in with the password {password} and choose your own then")
