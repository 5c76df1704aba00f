from io import StringIO

from rich.console import Console
from rich.progress import Progress as ProgressBar

from cli.progress import RemainingColumn, progress_bar, shown_on
from core.progress import Progress


def test_where_no_terminal_is_nothing_is_drawn() -> None:
    assert progress_bar().disable


def test_each_stage_has_its_line_and_is_kept_as_it_stands() -> None:
    stages: dict[str, Progress] = {}
    with ProgressBar(console=Console(file=StringIO())) as bar:
        show = shown_on(bar, stages)
        for done in range(3):
            show(Progress(stage="lists", done=done, total=2))
        show(Progress(stage="others", done=1, total=5))
    assert [(task.description, task.completed, task.total) for task in bar.tasks] == [("lists", 2, 2), ("others", 1, 5)]
    assert stages == {
        "lists": Progress(stage="lists", done=2, total=2),
        "others": Progress(stage="others", done=1, total=5),
    }


def test_the_time_to_the_end_is_what_the_work_says() -> None:
    shown = StringIO()
    with ProgressBar(RemainingColumn(), console=Console(file=shown, force_terminal=True)) as bar:
        show = shown_on(bar, {})
        show(Progress(stage="charts", done=10, total=20, eta_s=8_039.6))
        bar.refresh()
        assert "2:14:00" in shown.getvalue()
        show(Progress(stage="charts", done=20, total=20, eta_s=None))
