"""`tickerd run`: the orchestrator in the foreground."""

from __future__ import annotations

import dataclasses
import os

import click
import msgspec

from cli.common import json_option, load, with_config
from core.config import Loaded
from daemon import main as daemon


@click.command(short_help="Keep the table fresh, in the foreground.")
@json_option("Log in JSON lines, whatever `[logging] format` says.")
@with_config
def run(config_file: str | None, as_json: bool) -> int:
    """Keep the table fresh: run the orchestrator in the foreground.

    It starts and stops the scanners with the market and restarts what fails. Ctrl-C or SIGTERM stops everything.
    """

    def read() -> Loaded:
        loaded = load(config_file)
        return _in_json(loaded) if as_json else loaded

    return daemon.run(read(), environ=os.environ, reread=read)


def _in_json(loaded: Loaded) -> Loaded:
    settings = loaded.settings
    logging = msgspec.structs.replace(settings.logging, format="json")
    return dataclasses.replace(loaded, settings=msgspec.structs.replace(settings, logging=logging))
