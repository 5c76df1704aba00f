from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from cli import logs
from tests.fix_cli import Run, tickerd
from tests.fix_daemon import wait_until

EVENT = {
    "@timestamp": "2026-11-23T14:30:00.000Z",
    "log.level": "info",
    "message": "cycle_finished",
    "service.name": "metrics",
    "process.pid": 7,
    "log.logger": "scanners.quote_cycle",
    "fresh": 8782,
    "elapsed_s": 6.54321,
}
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nRuntimeError: no luck'


def line_of(number: int) -> str:
    return json.dumps(EVENT | {"number": number})


def write_log(folder: Path, text: str, name: str = "metrics") -> Path:
    file = folder / "logs" / f"{name}.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_an_event_is_rendered_for_people(here: Run, tmp_path: Path) -> None:
    write_log(tmp_path, json.dumps(EVENT) + "\n")
    ended = here("logs", "metrics")
    assert (ended.code, ended.out) == (0, "14:30:00Z info    metrics: cycle_finished fresh=8782 elapsed_s=6.54321\n")


def test_the_stages_of_a_scan_are_told_in_set_words(here: Run, tmp_path: Path) -> None:
    stage = EVENT | {"message": "scan_stage_completed", "stage": "universe_loading", "took_s": 5.2}
    write_log(tmp_path, json.dumps(stage) + "\n", "screener")
    assert here("logs", "screener").out == "[INFO] Completed stage: universe_loading (5.2s)\n"


def test_json_lines_come_as_they_stand_in_the_file(here: Run, tmp_path: Path) -> None:
    text = f"{line_of(1)}\n{line_of(2)}\n"
    write_log(tmp_path, text)
    assert here("logs", "metrics", "--json").out == text


def test_only_the_last_lines_are_shown(here: Run, tmp_path: Path) -> None:
    write_log(tmp_path, "".join(f"line {number}\n" for number in range(100)))

    assert here("logs", "metrics").out.splitlines() == [f"line {number}" for number in range(50, 100)]
    assert here("logs", "metrics", "-n", "2").out == "line 98\nline 99\n"
    assert here("logs", "metrics", "-n", "0").out == ""
    assert len(here("logs", "metrics", "-n", "1000").out.splitlines()) == 100


@pytest.mark.parametrize(
    "line",
    [
        TRACEBACK,
        '{"a": 1}',
        "[1, 2]",
        '{"@timestamp": "yesterday", "message": "x", "log.level": "info", "service.name": "y"}',
        '{"@timestamp": "2026-11-23T14:30:00.000Z", "message": "x"}',
        '{"@timestamp": 3, "message": null, "log.level": null, "service.name": "y"}',
        '{"half of an ev',
        "a\u2028separator that is no line end",
    ],
)
def test_what_is_no_event_of_ours_is_shown_as_it_is(here: Run, tmp_path: Path, line: str) -> None:
    write_log(tmp_path, line + "\n")
    assert here("logs", "metrics").out == line + "\n"


def test_bytes_that_are_no_text_do_not_stop_it(here: Run, tmp_path: Path) -> None:
    write_log(tmp_path, "").write_bytes(b"\xff\xfe\nthe end\n")
    assert here("logs", "metrics").out == "\ufffd\ufffd\nthe end\n"


def test_the_orchestrators_own_log_is_the_default(here: Run, tmp_path: Path) -> None:
    write_log(tmp_path, "own\n", name="tickerd")
    assert here("logs").out == "own\n"


def test_an_unknown_name_says_which_logs_exist(here: Run, tmp_path: Path) -> None:
    write_log(tmp_path, "x\n")
    write_log(tmp_path, "x\n", name="prices")

    here("logs", "nosuch").fails(1, "nosuch.jsonl: no such log; logs there: metrics, prices")
    here("logs", "../logs/prices").fails(1, "no such log")


def test_before_the_first_run_it_says_who_writes_logs(here: Run) -> None:
    here("logs").fails(1, "no such log; `tickerd run` writes the first ones")


@contextmanager
def following(file: Path, monkeypatch: pytest.MonkeyPatch, *, last: int = 10) -> Iterator[list[str]]:
    """Follow a file in a thread; yield the lines as they come."""
    ended = threading.Event()

    def pause(_duration_s: float) -> None:
        if ended.wait(0.01):
            raise KeyboardInterrupt

    monkeypatch.setattr(logs, "pause", pause)
    seen: list[str] = []

    def follow() -> None:
        with suppress(KeyboardInterrupt):
            for line in logs._lines(file, last=last, follow=True):
                seen.append(line)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(60)
        assert not thread.is_alive()


def has(seen: list[str], lines: int) -> bool:
    return len(seen) == lines


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_new_lines_are_shown_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_log(tmp_path, "1\n2\n3\n")
    with following(file, monkeypatch, last=2) as seen:
        wait_until(lambda: seen == ["2", "3"])
        append(file, "4\n5\n")
        wait_until(lambda: seen == ["2", "3", "4", "5"])


def test_a_line_that_comes_in_parts_is_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_log(tmp_path, "1\n2a")
    parts = iter(["2b", "2c\n", "3\n"])
    monkeypatch.setattr(logs, "pause", lambda _duration_s: append(file, next(parts)))  # one part a look

    lines = logs._lines(file, last=10, follow=True)

    assert [next(lines) for _ in range(3)] == ["1", "2a2b2c", "3"]
    lines.close()  # type: ignore[attr-defined]


def test_following_goes_on_across_rotations_and_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_log(tmp_path, "0\n")
    with following(file, monkeypatch) as seen:
        wait_until(lambda: seen == ["0"])
        for number in range(1, 21):
            append(file, f"{number} last of the old\n")
            os.replace(file, file.with_name(f"{file.name}.1"))
            file.write_text(f"{number} first of the new\n")
            wait_until(partial(has, seen, 1 + 2 * number))
    expected = [f"{number} {which}" for number in range(1, 21) for which in ("last of the old", "first of the new")]
    assert seen == ["0", *expected]


def test_the_moment_without_a_file_in_a_rotation_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_log(tmp_path, "1\n")
    with following(file, monkeypatch) as seen:
        wait_until(lambda: seen == ["1"])
        os.replace(file, file.with_name("gone"))
        append(file.with_name("gone"), "2\n")
        wait_until(lambda: seen == ["1", "2"])
        file.write_text("3\n")
        wait_until(lambda: seen == ["1", "2", "3"])


def test_a_log_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    write_log(tmp_path, "x\n").chmod(0)
    tickerd("logs", "metrics", folder=tmp_path).fails(78, "metrics.jsonl: cannot be read; allow this user to read it")


def test_a_log_folder_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    folder = write_log(tmp_path, "x\n").parent
    folder.chmod(0)
    try:
        ended = tickerd("logs", "metrics", folder=tmp_path)
    finally:
        folder.chmod(0o700)
    ended.fails(78, "logs: logging.dir: cannot be read; allow this user to read it")
