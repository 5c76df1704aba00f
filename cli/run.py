"""`tickerd run`: the orchestrator in the foreground."""

from __future__ import annotations

import os

import click

from cli.common import load, with_config
from daemon import main as daemon


@click.command()
@with_config
def run(config_file: str | None) -> int:
    """Run the orchestrator in the foreground.

    It starts and stops the scanners with the market and restarts what fails. Ctrl-C or SIGTERM stops everything.
    """
    return daemon.run(load(config_file), environ=os.environ)
