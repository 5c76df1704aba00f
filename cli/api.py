"""`tickerd api`: the HTTP API by itself."""

from __future__ import annotations

import asyncio
import os

import click

from cli.common import json_option, load, with_config
from core import logs
from core.errors import EXIT_DONE
from core.notify import Notifier
from core.program import lost_errors_logged, on_signals, run_loop
from core.settings import Settings


@click.command(short_help="Serve the HTTP API, without the orchestrator.")
@json_option("Log in JSON lines, whatever `[logging] format` says.")
@with_config
def api(config_file: str | None, as_json: bool) -> int:
    """Serve the HTTP API, without the orchestrator, until Ctrl-C.

    The table, scans and signals are there; what needs the orchestrator answers 503. `tickerd run` serves it by itself
    if `[api] enabled`.
    """
    from api.main import SERVICE, loop_factory  # here, so that `--help` does not import the web server

    loaded = load(config_file)
    if loaded.file is not None:
        os.environ["TICKERD_CONFIG"] = str(loaded.file)  # what the API changes is in this file
    logging = loaded.settings.logging
    logs.configure(service=SERVICE, level=logging.level, style="json" if as_json else logging.format)
    run_loop(_serve(loaded.settings), loop_factory())
    return EXIT_DONE


async def _serve(settings: Settings) -> None:
    from api.main import main

    stop = asyncio.Event()
    on_signals(stop.set)
    with lost_errors_logged():
        await main(settings, stop, Notifier(None))
