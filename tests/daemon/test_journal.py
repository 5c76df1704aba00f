from __future__ import annotations

import json
import os
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.journal import Journal
from daemon.lifecycle import Change, State

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CHANGE = Change(
    process="prices",
    event="scanner_failed",
    from_state=State.RUNNING,
    to_state=State.BACKOFF,
    cause="crash",
    pid=7,
    exit_code=1,
    detail="boom",
)


def lines(folder: Path, name: str = "events.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_an_event_is_one_line_with_source_and_number(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(CHANGE, AT)
    assert lines(tmp_path) == [
        {
            "source": journal.source,
            "seq": 1,
            "at": "2026-11-23T14:30:00.000Z",
            "process": "prices",
            "event": "scanner_failed",
            "from_state": "running",
            "to_state": "backoff",
            "cause": "crash",
            "pid": 7,
            "exit_code": 1,
            "signal": None,
            "detail": "boom",
        }
    ]


def test_events_of_the_orchestrator_have_the_same_keys(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(CHANGE, AT)
    journal.write_own("orchestrator_stopped", pid=8, at=AT)
    written = lines(tmp_path)
    assert list(written[1]) == list(written[0])
    assert (written[1]["process"], written[1]["event"]) == ("tickerd", "orchestrator_stopped")


def test_source_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.write(CHANGE, AT)
    first.write(CHANGE, AT)
    second = Journal(tmp_path)
    second.write(CHANGE, AT)
    assert second.source == first.source
    assert [line["seq"] for line in lines(tmp_path)] == [1, 2, 3]


def test_numbers_go_on_when_the_journal_has_just_been_rotated(tmp_path: Path) -> None:
    Journal(tmp_path, max_bytes=1).write(CHANGE, AT)
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    Journal(tmp_path).write(CHANGE, AT)
    assert lines(tmp_path)[0]["seq"] == 2


def test_a_full_journal_keeps_one_older_part(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=500)
    for _ in range(5):
        journal.write(CHANGE, AT)
    assert [line["seq"] for line in lines(tmp_path, "events.jsonl.1")] == [3, 4]
    assert [line["seq"] for line in lines(tmp_path)] == [5]


def test_a_half_written_line_spoils_no_other(tmp_path: Path) -> None:
    Journal(tmp_path).write(CHANGE, AT)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"source": "x", "seq": 99, "at')
    Journal(tmp_path).write(CHANGE, AT)
    whole = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(whole[2])["seq"] == 2


def test_a_full_disk_is_counted_and_leaves_a_gap_in_the_numbers(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(CHANGE, AT)
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, old_limit[1]))
        journal.write(CHANGE, AT)
        assert journal.disk_refuses
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    journal.write(CHANGE, AT)
    assert (journal.failed, journal.disk_refuses) == (1, False)
    numbers = [json.loads(line)["seq"] for line in (tmp_path / "events.jsonl").read_text().splitlines() if "}" in line]
    assert numbers == [1, 3]


def test_a_journal_that_cannot_be_opened_is_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "events.jsonl").mkdir()
    journal.write(CHANGE, AT)
    assert journal.failed == 1


def test_a_journal_that_cannot_be_read_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    journal = Journal(tmp_path)
    journal.write(CHANGE, AT)
    assert journal.disk_refuses


@pytest.mark.parametrize("spoiled", ["events.source", "events.jsonl"])
def test_a_journal_whose_numbers_or_name_are_lost_begins_anew_under_another_name(tmp_path: Path, spoiled: str) -> None:
    first = Journal(tmp_path)
    first.write(CHANGE, AT)
    (tmp_path / spoiled).write_text("\n")
    assert len(Journal(tmp_path).source) == 16
    assert Journal(tmp_path).source != first.source


def test_an_event_is_on_the_disk_before_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    fsync = os.fsync

    def watched(fd: int) -> None:
        fsync(fd)
        synced.append(os.pread(fd, 10_000, 0))

    journal = Journal(tmp_path)
    monkeypatch.setattr(os, "fsync", watched)
    journal.write(CHANGE, AT)
    journal.write(CHANGE, AT)
    whole = (tmp_path / "events.jsonl").read_bytes()
    assert synced == [whole.splitlines(keepends=True)[0], whole]
