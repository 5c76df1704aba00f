from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.fix_cli import Run, fits_80_columns, times_in

FLIGHTS = Path(__file__).parent.parent / "data" / "flights"
RECORDING = FLIGHTS / "real_frames_and_answers.jsonl.gz"
HEADER = '{"tickerd_flight":1,"scanner":"prices"}\n'
RECORD = '{"at":"2026-11-23T17:00:00Z","kind":"frame","source":"1","text":"hello"}\n'


def test_a_recording_is_summed_up_for_people(here: Run) -> None:
    ended = here("replay", RECORDING, "--ticker", "MSFT", "--ticker", "NONE")
    assert (ended.code, ended.err) == (0, "")
    words = " ".join(ended.out.split())
    times = "2020-05-15T15:05:20.500Z to 2021-02-10T09:52:13.000Z"  # frames first, then older answers
    assert f"real_frames_and_answers.jsonl.gz: 33 records, {times}" in words
    assert "frames: 22 records, 21 ticks, 13 accepted, 7 refused (outside_session), 1 refused (doubted), " in words
    assert "MSFT value regular price 177.29 at 2020-05-15T15:05:23.000Z NONE: nothing of it reached the table" in words


def test_the_json_names_each_refusal_by_its_record(here: Run) -> None:
    document = here("replay", RECORDING, "--json", "--ticker", "AAPL").json()
    assert document.keys() == {"version", "files", "frames", "answers", "tickers", "refusals", "errors"}
    (file,) = document["files"]
    assert (file["file"], file["records"], file["unreadable"]) == (str(RECORDING), 33, 0)
    hello = [each for each in document["refusals"] if each["cause"] == "not_json"]
    assert hello == [{"file": str(RECORDING), "record": 22, "kind": "frame", "ticker": "", "cause": "not_json"}]
    assert document["tickers"]["AAPL"]["quote"]["current_price"] == 136.01
    assert all(text.endswith("Z") for text in times_in(document))


def test_a_folder_stands_for_its_segments_in_their_order(here: Run, tmp_path: Path) -> None:
    for number in (2, 1):
        (tmp_path / f"0000000{number}-20261123T170000Z.jsonl.gz").write_bytes(
            gzip.compress((HEADER + RECORD * number).encode())
        )
    document = here("replay", tmp_path, "--json").json()
    assert [each["records"] for each in document["files"]] == [1, 2]
    assert document["frames"]["refused"] == {"not_json": 3}


def test_a_record_that_cannot_be_read_is_named_and_the_rest_is_replayed(here: Run, tmp_path: Path) -> None:
    (tmp_path / "report.jsonl").write_text(HEADER + RECORD + "{}\n" + RECORD)
    ended = here("replay", "report.jsonl")
    assert ended.code == 1
    assert "report.jsonl: record 2: Object missing required field `at`" in ended.out
    assert "frames: 2 records" in ended.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"quoteResponse":{}}', "report: is not a recording; give a file of `flight/`"),
        (b"", "report: is not a recording"),
        (None, "report: cannot be read (No such file or directory); give a recording"),
    ],
)
def test_a_file_that_is_no_recording_ends_it_with_one_line(
    here: Run, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "report").write_bytes(content)
    here("replay", "report").fails(78, words)


def test_a_folder_without_a_recording_is_an_error(here: Run, tmp_path: Path) -> None:
    here("replay", tmp_path).fails(78, "holds no recording; give a folder like .tickerd/flight/prices")


def test_without_a_file_the_usage_is_shown(here: Run) -> None:
    here("replay").fails(2, "FILE")


def test_what_people_see_fits_their_terminal(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FLIGHTS)
    ended = here("replay", RECORDING.name, "--ticker", "AAPL")
    assert fits_80_columns(ended.out)


def test_the_refusals_of_text_and_json_are_the_same(here: Run) -> None:
    document = here("replay", RECORDING, "--json").json()
    text = here("replay", RECORDING).out
    counted = sum(document["frames"]["refused"].values()) + sum(document["answers"]["refused"].values())
    assert counted == len(document["refusals"])
    for cause, count in document["frames"]["refused"].items():
        assert f"{count} refused ({cause})" in " ".join(text.split())
