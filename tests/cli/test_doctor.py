from __future__ import annotations

import pytest

from screener import performance
from screener.performance import Measured
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


def test_a_doctor_who_is_asked_nothing_says_what_to_ask(here: Run) -> None:
    here("doctor").fails(2, "give --performance")
