from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cli.scan as terminal
from core.clock import SystemClock
from storage import scans
from storage.schema_version import upgrade
from storage.writer import Writer
from tests.fix_cli import Run, fits_80_columns
from tests.fix_scans import fill
from tests.fix_storage import NOON

CLOSES = {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0], "N": [5.0]}
UP = "close > prev(close)"


@pytest.fixture
def folder(sqlite_template: Path, here: Run, tmp_path: Path) -> Path:
    """A working folder whose database holds three tickers."""
    file = tmp_path / "tickerd.db"
    file.write_bytes(sqlite_template.read_bytes())
    with Writer.open(f"sqlite:///{file}", service="test", origin="practice", clock=SystemClock()) as writer:
        fill(writer, CLOSES)
    return tmp_path


def test_a_scan_prints_a_table_and_what_it_looked_at(folder: Path, here: Run) -> None:
    done = here("scan", UP, "--closed")
    assert done.code == 0 and fits_80_columns(done.out)
    assert "A " in done.out and "1 of 3 tickers" in done.out and "as of 2026-11-20" in done.out
    assert "B " not in done.out.replace("B of", "")


def test_a_scan_as_json_says_everything(folder: Path, here: Run) -> None:
    document = here("scan", "close > 1", "--order-by", "close", "--top", "2", "--json", "--closed").json()
    assert [result["ticker"] for result in document["results"]] == ["B", "A"]
    assert document["status"] == "complete" and document["ended"]["exact"] and document["counts"]["scanned"] == 3
    assert set(document["timings"]) == {"universe_loading", "data_fetching", "symbol_scanning", "finalization"}


def test_stages_are_told_on_standard_error_if_asked(folder: Path, here: Run) -> None:
    done = here("scan", UP, "-v", "--closed")
    assert "[INFO] Starting stage: universe_loading\n" in done.err
    assert "[INFO] Completed stage: finalization (0.0s)\n" in done.err


WRONG = 'tickerd: column 15: unknown field "clos"; did you mean "close"?'


@pytest.mark.parametrize("way", [("scan",), ("scan", "check"), ("backtest",), ("scan", "--json")])
def test_a_mistake_is_one_line_with_its_column(folder: Path, here: Run, way: tuple[str, ...]) -> None:
    done = here(*way, "close > 1 and clos > 2")
    assert (done.code, done.out, done.err.splitlines()) == (2, "", [WRONG])


def test_a_mistake_is_shown_to_a_person_with_a_caret(folder: Path, here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "at_a_terminal", lambda: True)
    done = here("scan", "close > 1 and clos > 2")
    assert done.err.splitlines() == ["close > 1 and clos > 2", "              ^^^^", WRONG]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("close > 1", "--on", "2020-01-01"), "they reach from"),
        (("close > 1", "--on", "yesterday"), "scan: "),
        (("close > 1", "--top", "3"), "give order_by"),
        ((UP, "--max-age-s", "60", "--closed"), "--max-age-s: completed bars are not fetched"),
        ((UP, "--max-age-s", "60", "--on", "2026-11-20"), "max_age_s: nothing is fetched for the past"),
        (("save", "x", UP, "--every", "minute", "--max-age-s", "9"), "a scheduled scan fetches nothing"),
    ],
)
def test_what_cannot_be_run_is_one_line(folder: Path, here: Run, arguments: tuple[str, ...], words: str) -> None:
    here("scan", *arguments).fails(2, words)


def test_a_past_day_and_a_range(folder: Path, here: Run) -> None:
    past = here("scan", "close == 11", "--on", "2026-11-19", "--json").json()
    assert [result["ticker"] for result in past["results"]] == ["A"] and past["data_as_of"] == "2026-11-19"
    found = here("scan", "close > 10.5", "--since", "2026-11-19", "--json").json()["results"]
    assert sorted((result["ticker"], result["session"][-2:]) for result in found) == [
        ("A", "19"),
        ("A", "20"),
        ("B", "19"),
        ("B", "20"),
    ]
    done = here("scan", "close > 1 and known(sector)", "--on", "2026-11-19")
    assert done.code == 2 and "only today's sector is known" in done.err
    assert "biased: sector" in here("scan", "close > 1 or known(sector)", "--on", "2026-11-19", "--biased").out


def test_a_scan_that_is_kept_is_listed_shown_exported_and_found_by_ticker(folder: Path, here: Run) -> None:
    scan_id = here("scan", UP, "--keep", "--export", "json", "--closed", "--json").json()["scan_id"]
    assert json.loads((folder / "scan_results" / f"{scan_id}.json").read_text(encoding="utf-8"))["scan_id"] == scan_id
    listed = here("scan", "list", "--json").json()["scans"]
    assert [(row["id"], row["status"], row["signals"]) for row in listed] == [(scan_id, "complete", 1)]
    shown = here("scan", "show", scan_id, "--json").json()
    assert [row["ticker"] for row in shown["results"]] == ["A"]
    assert "A " in here("scan", "show", scan_id).out
    assert here("scan", "found", "a", "--json").json()["scans"][0]["id"] == scan_id
    assert scan_id in here("scan", "list").out and scan_id in here("scan", "found", "A").out
    here("scan", "show", "scan_nothing").fails(1, "tickerd scan list")


def test_a_scan_is_saved_listed_and_forgotten(folder: Path, here: Run) -> None:
    assert here("scan", "save", "up", UP, "--every", "close", "--json").json()["new"]
    saved = here("scan", "saved", "--json").json()["saved"]
    assert [(row["name"], row["schedule"], row["request"]) for row in saved] == [("up", "close", {"expression": UP})]
    assert "never" in here("scan", "saved").out
    done = here("scan", "save", "bad", "clos > 1")
    assert done.code == 2 and 'unknown field "clos"' in done.err
    here("scan", "save", "past", UP, "--on", "2026-11-20", "--every", "close").fails(2, "no schedule")
    assert here("scan", "forget", "up").code == 0 and here("scan", "forget", "up").code == 1
    assert here("scan", "saved", "--json").json()["saved"] == []


def test_a_scan_is_asked_for_and_cancelled_through_the_database(folder: Path, here: Run) -> None:
    scan_id = here("scan", "ask", UP, "--json").json()["scan_id"]
    assert here("scan", "list", "--json").json()["scans"][0]["status"] == "pending"
    assert here("scan", "cancel", scan_id, "--json").json()["cancelled"]
    assert here("scan", "cancel", scan_id).code == 1


def test_signals_and_errors_are_shown(folder: Path, here: Run) -> None:
    found: dict[str, Any] = {
        "ticker": "A",
        "session": "2026-11-20",
        "values": {"close": 12.0},
        "flags": [],
        "tech_rating": None,
    }
    url = f"sqlite:///{folder / 'tickerd.db'}"
    with Writer.open(url, service="test", origin=None, clock=SystemClock()) as writer:
        scans.save(writer, "up", {"expression": UP}, schedule="close", at=NOON)
        scans.renew_signals(writer, "up", "scan_x", [found], whole=True, at=NOON)
        error = {"stage": "data_fetching", "ticker": "B", "error": "away"}
        ended = scans.Ended(status="failed", values={}, results=[], errors=[error])
        scans.end(writer, "scan_x", ended, at=SystemClock().utc_now())
    assert here("scan", "signals", "up", "--active", "--json").json()["signals"][0]["symbol"] == "A"
    assert "A " in here("scan", "signals").out and "away" in here("scan", "errors").out
    assert here("scan", "errors", "--clear", "--json").json()["errors"] == []


def test_fields_and_a_check_need_no_database(here: Run) -> None:
    names = {row["name"] for row in here("scan", "fields", "--json").json()["fields"]}
    assert {"rsi14", "market_cap", "inside_bar_bullish_breakout", "prev(close, 1)"} <= names
    assert "rsi14" in here("scan", "fields", "relative").out or "rsi14" in here("scan", "fields", "rsi").out
    told = here("scan", "check", "rsi14 < 30 and sector == 'Energy'", "--json").json()
    assert told["now_only"] == ["sector"] and told["fields"] == ["rsi14", "sector"]
    assert "look" not in here("scan", "check", "rsi14 < 30").err


def test_an_empty_database_says_what_is_missing(here: Run, tmp_path: Path) -> None:
    here("scan", UP).fails(78, "tickerd db upgrade")
    upgrade(f"sqlite:///{tmp_path / 'tickerd.db'}")
    done = here("scan", UP)
    assert done.code == 0 and "no bars yet" in " ".join(done.out.split())


@pytest.mark.parametrize("asked", [("clos > 1", "--keep"), (UP, "--export", "csv")])
def test_a_scan_that_is_to_be_kept_and_cannot_be_run_or_written_is_kept_as_failed(
    folder: Path, here: Run, asked: tuple[str, ...]
) -> None:
    (folder / "scan_results").write_text("no folder")
    assert here("scan", *asked, "--closed").code != 0
    assert [row["status"] for row in here("scan", "list", "--json").json()["scans"]] == ["failed"]
