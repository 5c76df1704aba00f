from __future__ import annotations

from pathlib import Path

import pytest

from storage.schema_version import upgrade
from tests.fix_cli import Run

UP = "close > prev(close)"


def test_a_scan_as_json_says_everything(scan_folder: Path, here: Run) -> None:
    document = here("scan", "close > 1", "--order-by", "close", "--top", "2", "--json", "--closed").json()
    assert [result["ticker"] for result in document["results"]] == ["B", "A"]
    assert document["status"] == "complete" and document["ended"]["exact"] and document["counts"]["scanned"] == 3
    assert set(document["timings"]) == {"universe_loading", "data_fetching", "symbol_scanning", "finalization"}


def test_stages_are_told_on_standard_error_if_asked(scan_folder: Path, here: Run) -> None:
    done = here("scan", UP, "-v", "--closed")
    assert "[INFO] Starting stage: universe_loading\n" in done.err
    assert "[INFO] Completed stage: finalization (0.0s)\n" in done.err


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
def test_what_cannot_be_run_is_one_line(scan_folder: Path, here: Run, arguments: tuple[str, ...], words: str) -> None:
    here("scan", *arguments).fails(2, words)


def test_a_past_day_and_a_range(scan_folder: Path, here: Run) -> None:
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
    scan_folder: Path, here: Run, asked: tuple[str, ...]
) -> None:
    (scan_folder / "scan_results").write_text("no folder")
    assert here("scan", *asked, "--closed").code != 0
    assert [row["status"] for row in here("scan", "list", "--json").json()["scans"]] == ["failed"]
