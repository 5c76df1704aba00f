from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from storage import scans
from storage.writer import Writer
from tests.fix_cli import Run
from tests.fix_storage import NOON

UP = "close > prev(close)"


def test_a_scan_that_is_kept_is_listed_shown_exported_and_found_by_ticker(scan_folder: Path, here: Run) -> None:
    scan_id = here("scan", UP, "--keep", "--export", "json", "--closed", "--json").json()["scan_id"]
    assert (
        json.loads((scan_folder / "scan_results" / f"{scan_id}.json").read_text(encoding="utf-8"))["scan_id"] == scan_id
    )
    listed = here("scan", "list", "--json").json()["scans"]
    assert [(row["id"], row["status"], row["signals"]) for row in listed] == [(scan_id, "complete", 1)]
    shown = here("scan", "show", scan_id, "--json").json()
    assert [row["ticker"] for row in shown["results"]] == ["A"]
    assert "A " in here("scan", "show", scan_id).out
    assert here("scan", "found", "a", "--json").json()["scans"][0]["id"] == scan_id
    assert scan_id in here("scan", "list").out and scan_id in here("scan", "found", "A").out
    here("scan", "show", "scan_nothing").fails(1, "tickerd scan list")


def test_a_scan_is_saved_listed_and_forgotten(scan_folder: Path, here: Run) -> None:
    assert here("scan", "save", "up", UP, "--every", "close", "--json").json()["new"]
    saved = here("scan", "saved", "--json").json()["saved"]
    assert [(row["name"], row["schedule"], row["request"]) for row in saved] == [("up", "close", {"expression": UP})]
    assert "never" in here("scan", "saved").out
    done = here("scan", "save", "bad", "clos > 1")
    assert done.code == 2 and 'unknown field "clos"' in done.err
    here("scan", "save", "past", UP, "--on", "2026-11-20", "--every", "close").fails(2, "no schedule")
    assert here("scan", "forget", "up").code == 0 and here("scan", "forget", "up").code == 1
    assert here("scan", "saved", "--json").json()["saved"] == []


def test_a_scan_is_asked_for_and_cancelled_through_the_database(scan_folder: Path, here: Run) -> None:
    scan_id = here("scan", "ask", UP, "--json").json()["scan_id"]
    assert here("scan", "list", "--json").json()["scans"][0]["status"] == "pending"
    assert here("scan", "cancel", scan_id, "--json").json()["cancelled"]
    assert here("scan", "cancel", scan_id).code == 1


def test_signals_and_errors_are_shown(scan_folder: Path, here: Run) -> None:
    found: dict[str, Any] = {
        "ticker": "A",
        "session": "2026-11-20",
        "values": {"close": 12.0},
        "flags": [],
        "tech_rating": None,
    }
    url = f"sqlite:///{scan_folder / 'tickerd.db'}"
    with Writer.open(url, service="test", origin=None, clock=SystemClock()) as writer:
        scans.save(writer, "up", {"expression": UP}, schedule="close", at=NOON)
        scans.renew_signals(writer, "up", "scan_x", [found], whole=True, at=NOON)
        error = {"stage": "data_fetching", "ticker": "B", "error": "away"}
        ended = scans.Ended(status="failed", values={}, results=[], errors=[error])
        scans.end(writer, "scan_x", ended, at=SystemClock().utc_now())
    assert here("scan", "signals", "up", "--active", "--json").json()["signals"][0]["symbol"] == "A"
    assert "A " in here("scan", "signals").out and "away" in here("scan", "errors").out
    assert here("scan", "errors", "--clear", "--json").json()["errors"] == []
