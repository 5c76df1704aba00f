from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.child_logs import ChildLog


def test_bytes_are_written_as_they_came(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=3)
    log.write(b'{"message":"x"}\n\xff not a tex')
    log.write(b"t\n")
    assert (tmp_path / "prices.jsonl").read_bytes() == b'{"message":"x"}\n\xff not a text\n'
    log.close()


def test_the_last_line_is_kept_also_when_it_came_in_parts(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=3)
    log.write(b"first\nsec")
    log.write(b"ond\n\n")
    assert log.last_line == "second"
    log.forget_tail()
    assert log.last_line == ""
    log.write(b"x" * 100_000)
    assert len(log.last_line) == 2000
    log.close()


def test_a_log_that_is_full_moves_on_and_keeps_so_many_parts(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    for text in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        log.write(text)
    log.close()
    names = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert names == {"prices.jsonl": b"d", "prices.jsonl.1": b"c", "prices.jsonl.2": b"b"}


def test_a_log_from_an_earlier_run_is_continued(tmp_path: Path) -> None:
    (tmp_path / "prices.jsonl").write_bytes(b"old\n")
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    log.write_line(b"new")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes() == b"old\nnew\n"


def test_a_disk_that_refuses_is_counted_and_the_log_goes_on_afterwards(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "prices.jsonl")
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    log.write(b"lost\n")
    log.write(b"lost as well\n")
    assert (log.dropped, log.last_line) == (2, "lost as well")
    log.close()
    (tmp_path / "prices.jsonl").unlink()
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes() == b"kept\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"log.level":"info","message":"cycle_finished"}', ""),
        (b'{"log.level":"warning","message":"batch_failed","error":"no answer"}', "batch_failed: no answer"),
        (
            b'{"log.level":"error","message":"process_crashed","exception":"Trace\\n  at\\nOSError: full"}',
            "process_crashed: OSError: full",
        ),
        (b'{"log.level":"error","message":"plan_failed"}', "plan_failed"),
        (b"tickerd: prices.canary: wrong; give another", "tickerd: prices.canary: wrong; give another"),
        (b"[1, 2]", "[1, 2]"),
    ],
)
def test_the_exit_report_says_what_a_child_complained_of_in_words(tmp_path: Path, line: bytes, said: str) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1.0, keep=1)
    log.write_line(line)
    log.close()
    assert log.last_line == said


def test_a_line_is_never_divided_between_two_files(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    log.write(b"aaaaaaa\nbb")
    log.write(b"bbb\nccc\n")
    log.close()
    assert (tmp_path / "prices.jsonl.1").read_bytes() == b"aaaaaaa\nbbbbb\n"
    assert (tmp_path / "prices.jsonl").read_bytes() == b"ccc\n"


def test_a_line_that_never_ends_fills_no_disk(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    for _ in range(100):
        log.write(b"xxxx")
    log.close()
    assert {path.stat().st_size <= 20 for path in tmp_path.iterdir()} == {True}
    assert len(list(tmp_path.iterdir())) == 3


def test_to_keep_millions_of_parts_costs_nothing_while_there_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    numbered = ChildLog._numbered

    def counted(log: ChildLog, number: int) -> Path:
        looked_at.append(number)
        return numbered(log, number)

    monkeypatch.setattr(ChildLog, "_numbered", counted)
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2_000_000)
    for text in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        log.write(text)
    log.close()
    names = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert names == {"prices.jsonl": b"d", "prices.jsonl.1": b"c", "prices.jsonl.2": b"b", "prices.jsonl.3": b"a"}
    assert len(looked_at) < 20
