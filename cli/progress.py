"""The bar of a long command: on standard error, and only on a terminal. Knows no work."""

from __future__ import annotations

import sys
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar
from rich.text import Text

from core.progress import Progress, Reporter


class RemainingColumn(TimeRemainingColumn):
    """What the work itself says of the time to its end, where it does; else a guess from the stage's own speed."""

    max_refresh = 0.0  # drawn anew with each report

    def render(self, task: Task) -> Text:
        """Return hours, minutes and seconds."""
        eta_s = task.fields.get("eta_s")
        if eta_s is None or task.finished:
            return super().render(task)
        return Text(str(timedelta(seconds=round(eta_s))), style="progress.remaining")


def progress_bar() -> ProgressBar:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        RemainingColumn(),
    )
    return ProgressBar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), redirect_stdout=False)


def shown_on(bar: ProgressBar, stages: dict[str, Progress]) -> Reporter:
    """Return the reporter that draws each stage and keeps where it stands."""
    tasks: dict[str, TaskID] = {}

    def show(progress: Progress) -> None:
        stages[progress.stage] = progress
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total)
        bar.update(tasks[progress.stage], completed=progress.done, total=progress.total, eta_s=progress.eta_s)

    return show
