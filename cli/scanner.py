"""`tickerd scanner NAME`: one scanner by hand, with progress on the terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from cli.common import load, with_config
from core import logs
from core.notify import Notifier
from core.program import on_signals
from core.progress import Progress
from core.settings import Settings

NAMES = ("prices", "metrics", "daily")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--once", is_flag=True, help="Do one cycle and end: a minute of prices, one pass of metrics or daily.")
@with_config
def scanner(name: str, once: bool, config_file: str | None) -> int:
    """Run one scanner by hand, without the orchestrator.

    Exit 69 if the upstream cannot be reached, 75 if the scanner runs already or tickers are left to ask.
    """
    settings = load(config_file).settings
    logs.configure(service=name, level=settings.logging.level, style=settings.logging.format)
    bar = _bar()
    with bar:
        return asyncio.run(_scan(name, settings, once, _shown_on(bar)))


def _bar() -> ProgressBar:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return ProgressBar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


def _shown_on(bar: ProgressBar) -> Callable[[Progress], None]:
    tasks = {}

    def show(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total)
        bar.update(tasks[progress.stage], completed=progress.done, total=progress.total)

    return show


async def _scan(name: str, settings: Settings, once: bool, report: Callable[[Progress], None]) -> int:
    from scanners.main import scan  # here, so that `--help` does not import the network and the database

    stop = asyncio.Event()
    on_signals(stop.set)
    return await scan(name, settings, stop, Notifier(None), once=once, report=report) or 0
