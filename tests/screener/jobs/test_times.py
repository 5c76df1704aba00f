from __future__ import annotations

from pathlib import Path

import pytest

from screener.jobs.progress import FIRST_SPREAD
from screener.jobs.times import MOST_KINDS, History, Kind

KIND = Kind(name="now", tickers=8782, warm=True)
FIRST = {"universe_loading": 1.0, "data_fetching": 2.0, "symbol_scanning": 6.0, "finalization": 1.0}


def test_the_first_run_is_the_expectation_and_later_ones_move_it_by_a_fifth() -> None:
    history = History(None)
    assert history.of(KIND) is None
    history.learn(KIND, FIRST, {})
    history.learn(KIND, FIRST | {"symbol_scanning": 11.0}, {})
    known = history.of(KIND)
    assert known is not None and known.scans == 2
    assert known.seconds["symbol_scanning"] == pytest.approx(7.0)
    assert known.spread == pytest.approx(0.8 * FIRST_SPREAD + 0.2 * 0.5)


def test_scans_of_another_size_kind_or_cache_learn_for_themselves() -> None:
    history = History(None)
    history.learn(KIND, FIRST, {})
    others = (
        Kind(name="past", tickers=8782, warm=True),
        Kind(name="now", tickers=343, warm=True),
        Kind(name="now", tickers=8782, warm=False),
    )
    assert [history.of(other) for other in others] == [None, None, None]
    assert history.of(Kind(name="now", tickers=8790, warm=True)) is not None


def test_what_was_learned_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "state" / "times.json"
    history = History(file)
    history.learn(KIND, FIRST, {})
    history.save()
    known = History(file).of(KIND)
    assert known is not None and known.seconds == FIRST


def test_a_file_that_is_damaged_costs_the_history_alone(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    file.write_text("{", encoding="utf-8")
    history = History(file)
    assert history.of(KIND) is None
    history.learn(KIND, FIRST, {})
    history.save()
    assert History(file).of(KIND) is not None


def test_a_scan_that_did_not_run_every_stage_teaches_nothing_and_kinds_are_bounded() -> None:
    history = History(None)
    history.learn(KIND, {"universe_loading": 1.0}, {})
    assert history.of(KIND) is None
    for number in range(MOST_KINDS + 1):
        history.learn(Kind(name=str(number), tickers=1, warm=True), FIRST, {})
    assert history.of(Kind(name="0", tickers=1, warm=True)) is None
    assert history.of(Kind(name=str(MOST_KINDS), tickers=1, warm=True)) is not None
