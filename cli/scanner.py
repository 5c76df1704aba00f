"""`tickerd scanner NAME`: one scanner by hand, with progress on the terminal."""

from __future__ import annotations

import asyncio

import click

from cli.common import load, print_json, with_both
from cli.progress import progress_bar, shown_on
from core import logs
from core.notify import Notifier
from core.program import lost_errors_logged, on_signals, run_loop
from core.progress import Progress, Reporter
from core.settings import Settings

NAMES = ("prices", "metrics", "daily")


@click.command(short_help="Run one scanner by hand, without the orchestrator.")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--once", is_flag=True, help="Do one cycle and end: a minute of prices, one pass of metrics or daily.")
@with_both
def scanner(name: str, once: bool, config_file: str | None, as_json: bool) -> int:
    """Run one scanner by hand, without the orchestrator. Daily does what is left of the session that is due, and ends.

    Exit 69 if the upstream cannot be reached, 75 if the scanner runs already or tickers are left to ask.
    """
    settings = load(config_file).settings
    stages: dict[str, Progress] = {}
    with progress_bar() as bar:
        # Only now: while the bar is on, standard error writes above it.
        logs.configure(service=name, level=settings.logging.level, style=settings.logging.format)
        code = run_loop(_scan(name, settings, once or name == "daily", shown_on(bar, stages)))
    if as_json:
        done = [{"stage": each.stage, "done": each.done, "total": each.total} for each in stages.values()]
        print_json({"scanner": name, "exit_code": code, "stages": done})
    return code


async def _scan(name: str, settings: Settings, once: bool, report: Reporter) -> int:
    from scanners.main import scan  # here, so that `--help` does not import the network and the database

    stop = asyncio.Event()
    on_signals(stop.set)
    with lost_errors_logged():
        return await scan(name, settings, stop, Notifier(None), once=once, report=report) or 0
