from __future__ import annotations

from typing import get_args

import pytest

from daemon.lifecycle import Cause, Child, Want


@pytest.mark.parametrize(
    ("want", "held_session", "should_run"),
    [
        (Want(wanted=True), None, True),
        (Want(wanted=False), None, False),
        (Want(wanted=True, enabled=False), None, False),
        (Want(wanted=True), "2026-11-23", False),
        (Want(wanted=True), "", False),
    ],
)
def test_a_process_runs_when_the_plan_wants_it_and_nobody_holds_it(
    want: Want, held_session: str | None, should_run: bool
) -> None:
    assert Child(name="prices", want=want, held_session=held_session).should_run is should_run


def test_the_causes_that_the_journal_promises_are_all_there() -> None:
    promised = ["crash", "exit", "oom", "signal", "stall", "no_beat", "memory", "config", "operator", "schedule"]
    assert set(promised) <= set(get_args(Cause))
