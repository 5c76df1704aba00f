"""`tickerd service` on Windows: registers tickerd with the service manager, and takes it away again."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

from collections.abc import Iterator
from contextlib import contextmanager

import click
import pywintypes
import winerror

from cli.common import load, print_json, with_both, with_config
from core.errors import EXIT_DONE, EXIT_NOT_RUNNING, FixByHand, TickerdError
from daemon import service_windows as manager

LOCAL_SERVICE = "NT AUTHORITY\\LocalService"
RIGHT = {
    winerror.ERROR_ACCESS_DENIED: "use a terminal that was started as administrator",
    winerror.ERROR_SERVICE_EXISTS: "run `tickerd service uninstall` first",
    winerror.ERROR_SERVICE_MARKED_FOR_DELETE: "wait until the old one has stopped",
    winerror.ERROR_SERVICE_DOES_NOT_EXIST: "run `tickerd service install` first",
    winerror.ERROR_INVALID_SERVICE_ACCOUNT: "give an --account of this machine, such as .\\name",
}


@click.group()
def service() -> None:
    """Run tickerd as a Windows service."""


@service.command(short_help="Register and configure the service.")
@click.option(
    "--account", default=LOCAL_SERVICE, show_default=True, help="Who runs it; it must be able to write there."
)
@click.option("--password", help="Of that account, if it has one.")
@click.option("--dry-run", is_flag=True, help="Print the command that the service manager would run; change nothing.")
@click.option("--now", is_flag=True, help="Start it as well.")
@with_config
def install(account: str, password: str | None, dry_run: bool, now: bool, config_file: str | None) -> None:
    """Register this installation and configuration: started with the machine, and again after each failure."""
    file = load(config_file).file
    if file is None:
        raise FixByHand("a service needs a configuration file", where="service", right="give --config FILE")
    if dry_run:
        click.echo(manager.command_line(file))
        return
    with _told():
        manager.install(file, account=account, password=password)
        click.echo(f"installed: {manager.NAME}, it starts with the machine")
        if now:
            manager.start()
            click.echo("started")


@service.command(short_help="Stop and remove the service.")
def uninstall() -> None:
    """Stop the service and remove it. Configuration, database, state and logs stay."""
    with _told():
        manager.uninstall()
    click.echo(f"removed: {manager.NAME}")


@service.command(short_help="Show whether it is installed and runs.")
@with_both
def status(config_file: str | None, as_json: bool) -> int:
    """Show whether the service is installed and running. Exit 0: it runs; 3: it does not."""
    load(config_file)
    with _told():
        state = manager.state()
    if as_json:
        print_json({"unit": manager.NAME, "installed": state != "absent", "state": state})
    else:
        click.echo(f"{manager.NAME}: {'not installed' if state == 'absent' else state}")
    return EXIT_DONE if state == "running" else EXIT_NOT_RUNNING


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the service manager answers into one line that says what would be right."""
    try:
        yield
    except pywintypes.error as error:
        right = RIGHT.get(error.winerror, "see the event log of Windows")
        raise TickerdError(f"{error.funcname}: {error.strerror}", where="service", right=right) from error
