from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.progress import progress_of, result_of, statistics_of
from screener.jobs.progress import STAGES, Tracker
from storage.schema import scans

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
FIELDS = {
    "scan_id",
    "status",
    "current_stage",
    "stages",
    "overall_progress",
    "overall_eta",
    "overall_eta_formatted",
    "stage_progress",
    "stage_eta",
    "stage_eta_formatted",
    "stage_throughput",
    "message",
    "progress_percent",
}
"""What clients of every age read."""


def row(**values: Any) -> dict[str, Any]:
    blank = dict.fromkeys(column.name for column in scans.columns)
    return blank | {"id": "scan_x", "request": {}, "status": "pending", "created_at": AT} | values


def test_a_scan_that_waits_has_every_field_already() -> None:
    told = progress_of(row())
    assert told.keys() >= FIELDS
    assert (told["status"], told["overall_progress"], told["overall_eta_formatted"]) == ("pending", 0.0, "unknown")
    assert [stage["weight"] for stage in told["stages"].values()] == [0.05, 0.20, 0.70, 0.05]


def test_a_running_scan_says_what_it_said_last() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    tracker.start("symbol_scanning", total=700, now_s=0.0)
    tracker.scanned(315, now_s=90.0, ticker="AAPL")
    told = progress_of(row(status="running", progress=tracker.payload(90.0)))
    assert told.keys() >= FIELDS
    assert (told["status"], told["stage_progress"]) == ("running", 45.0)
    assert told["message"] == "Scanning AAPL (315/700)"


def test_the_weights_make_the_whole() -> None:
    """The older documents' example, whose printed sum was wrong: 5 + 20 + 0.70 * 45 = 56.5."""
    tracker = Tracker("scan_x", {}, now_s=0.0)
    for name in STAGES[:2]:
        tracker.start(name, total=1, now_s=0.0)
        tracker.end(now_s=1.0)
    tracker.start("symbol_scanning", total=700, now_s=1.0)
    tracker.scanned(315, now_s=90.0)
    told = progress_of(row(status="running", progress=tracker.payload(90.0)))
    assert told["overall_progress"] == told["progress_percent"] == 56.5


def test_a_scan_that_ended_before_it_told_anything_is_complete() -> None:
    timings = {name: {"elapsed_s": 0.001, "done": 8800, "per_s": 8.8e6} for name in STAGES}
    told = progress_of(row(status="complete", timings=timings, processed=8800, total=8800, signals=4, high_value=1))
    assert (told["overall_progress"], told["overall_eta_formatted"], told["message"]) == (100.0, "0s", "Complete")
    assert {stage["progress"] for stage in told["stages"].values()} == {100.0}
    assert (told["current_stage"], told["signals"], told["elapsed"]) == ("finalization", 4, 0.004)


def test_a_scan_that_failed_stands_where_it_was_and_says_why() -> None:
    told = progress_of(row(status="failed", error="no bars yet"))
    assert (told["status"], told["overall_progress"], told["message"]) == ("failed", 0.0, "no bars yet")


@pytest.mark.parametrize(("signals", "has"), [(None, False), ([], False), ([{"direction": "BUY"}], True)])
def test_a_result_has_the_older_names_too(signals: Any, has: bool) -> None:
    found = dict.fromkeys(("session", "rank", "key", "priority_tier", "measured", "flags")) | {"seq": 3}
    told = result_of(found | {"ticker": "AAPL", "tech_rating": 70.0, "signal": signals})
    assert (told["symbol"], told["has_signal"], told["alpha_score"]) == ("AAPL", has, 70.0)
    assert told["signal"] == ("BUY" if has else None) and told["values"] == {}


def test_statistics_are_numbers_of_the_row() -> None:
    timings = {"symbol_scanning": {"elapsed_s": 2.0, "done": 100, "per_s": 50.0}}
    told = statistics_of(row(started_at=AT + timedelta(seconds=1), timings=timings, processed=100))
    assert (told["waited_s"], told["elapsed_s"], told["tickers_per_s"]) == (1.0, 2.0, 50.0)
    assert statistics_of(row())["tickers_per_s"] is None
