from __future__ import annotations

import os
import sys

assert sys.platform == "win32"

from core.clock import SystemClock
from core.notify import END
from daemon.beats_windows import LONGEST_BYTES, BeatPipes
from daemon.reports import Report
from tests.fix_scanners import eventually

Heard = list[tuple[int, Report, list[str]]]


def pipes(heard: Heard, *pids: int) -> BeatPipes:
    return BeatPipes(is_child=pids.__contains__, on_report=lambda *report: heard.append(report))


async def test_a_message_is_whole_however_it_is_cut_on_its_way() -> None:
    heard: Heard = []
    reader, writer = os.pipe()
    beats = pipes(heard, 7)
    beats.listen(reader, 7)
    for part in (b"READY=1", END + b"WATCH", b"DOG=1\nSTATUS=fine" + END):
        os.write(writer, part)
        await SystemClock().sleep(0.02)
    await eventually(lambda: len(heard) == 2)
    os.close(writer)
    assert [(pid, report.ready, report.beat, report.status) for pid, report, _ in heard] == [
        (7, True, False, None),
        (7, False, True, "fine"),
    ]


async def test_a_message_of_a_child_that_is_gone_is_counted_and_not_told() -> None:
    heard: Heard = []
    reader, writer = os.pipe()
    beats = pipes(heard)
    beats.listen(reader, 8)
    os.write(writer, b"WATCHDOG=1" + END)
    os.close(writer)
    await eventually(lambda: beats.strangers)
    assert (beats.strangers, heard) == (1, [])


async def test_what_waits_is_taken_before_deadlines_are_judged() -> None:
    heard: Heard = []
    reader, writer = os.pipe()
    beats = pipes(heard, 9)
    beats.listen(reader, 9)
    os.write(writer, b"WATCHDOG=1" + END)
    os.close(writer)
    await eventually(lambda: heard)
    beats.receive()
    assert len(heard) == 1


async def test_a_message_without_an_end_costs_no_more_than_its_limit() -> None:
    heard: Heard = []
    reader, writer = os.pipe()
    beats = pipes(heard, 7)
    beats.listen(reader, 7)
    for _ in range(4):
        os.write(writer, b"x" * LONGEST_BYTES)
    os.write(writer, END + b"WATCHDOG=1" + END)
    os.close(writer)
    await eventually(lambda: any(report.beat for _, report, _ in heard))
