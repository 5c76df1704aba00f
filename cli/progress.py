"""The bar of a long command: on standard error, and only on a terminal. Knows no work."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from core.progress import Progress, Reporter


def progress_bar() -> ProgressBar:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return ProgressBar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), redirect_stdout=False)


def shown_on(bar: ProgressBar, stages: dict[str, Progress]) -> Reporter:
    """Return the reporter that draws each stage and keeps where it stands."""
    tasks: dict[str, TaskID] = {}

    def show(progress: Progress) -> None:
        stages[progress.stage] = progress
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total)
        bar.update(tasks[progress.stage], completed=progress.done, total=progress.total)

    return show
