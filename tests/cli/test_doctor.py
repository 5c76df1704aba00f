from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import SystemClock
from market.eastern import local_date
from screener import performance
from screener.performance import Measured
from storage.refusals import add_refusals
from storage.writer import Writer
from tests.fix_cli import Run, fits_80_columns

FOUND = [Measured(name="compute: one process", took_s=0.01, times=1.0)]


def test_what_the_machine_gives_is_printed(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring itself takes seconds: tests/screener/test_performance.py runs it small."""
    monkeypatch.setattr(performance, "measure", lambda clock: FOUND)
    done = here("doctor", "--performance")
    assert done.code == 0 and fits_80_columns(done.out)
    assert "10.0 ms" in done.out and "compute: one process" in done.out
    document = here("doctor", "--performance", "--json").json()
    assert document["cores"] >= 1 and document["measured"][0]["took_s"] == 0.01 and document["advice"]


def test_without_more_it_shows_what_was_refused_by_which_rule(here: Run, sqlite_file: Path) -> None:
    assert here("doctor").out == "no number was refused in the last week\n"
    today = local_date(SystemClock().utc_now())
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=SystemClock()) as writer:
        add_refusals(writer, today, "summary", {"unit": 4}, examples={"unit": "BABA float_shares"})
    done = here("doctor")
    assert done.code == 0 and fits_80_columns(done.out)
    assert done.out.splitlines()[1].split() == [str(today), "summary", "unit", "4", "BABA", "float_shares"]
    assert done.out.splitlines()[-1] == "unit: the source counts in another unit; nothing to do"
    (check,) = here("doctor", "--json").json()["checks"]
    assert check.keys() == {"name", "ok", "found", "advice"} and check["ok"]


def test_without_a_database_it_says_so(here: Run) -> None:
    here("doctor").fails(78, "tickerd db upgrade")
