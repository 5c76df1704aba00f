from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.progress import Progress
from daemon.beats import BeatSocket, Report, read_report


def test_a_report_says_all_that_a_notifier_sends() -> None:
    datagram = (
        b"WATCHDOG=1\nX_DATA_AT=2026-11-23T14:30:00.000Z\n"
        b'X_PROGRESS={"stage":"bars","done":3,"total":9,"eta_s":1.5}\n'
        b'X_COVERAGE={"price":{"fresh":1,"total":2}}\nX_FACTS={"origin":"practice"}'
    )
    assert read_report(datagram) == (
        Report(
            beat=True,
            data_at=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
            progress=Progress(stage="bars", done=3, total=9, eta_s=1.5),
            coverage={"price": {"fresh": 1, "total": 2}},
            facts={"origin": "practice"},
        ),
        [],
    )
    assert read_report(b"READY=1\nSTATUS=all well") == (Report(ready=True, status="all well"), [])
    assert read_report(b"STOPPING=1") == (Report(stopping=True), [])


def test_a_field_that_makes_no_sense_is_left_out_and_named() -> None:
    datagram = b'WATCHDOG=1\nX_DATA_AT=soon\nX_PROGRESS={"stage":1}\nX_COVERAGE=[]\nX_FACTS={"a":'
    report, bad = read_report(datagram)
    assert report == Report(beat=True)
    assert sorted(bad) == ["X_COVERAGE", "X_DATA_AT", "X_FACTS", "X_PROGRESS"]


def test_a_time_without_a_zone_makes_no_sense() -> None:
    assert read_report(b"X_DATA_AT=2026-11-23T14:30:00")[1] == ["X_DATA_AT"]


def test_a_long_status_is_cut() -> None:
    assert len(read_report(b"STATUS=" + b"x" * 10_000)[0].status or "") == 500


@given(st.binary(max_size=200))
def test_no_datagram_can_harm_the_reader(datagram: bytes) -> None:
    read_report(datagram)
    read_report(b"X_FACTS=" + datagram + b"\nX_DATA_AT=" + datagram)


def send(address: str, datagram: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, "\0" + address[1:])


async def test_a_known_child_is_heard_and_a_stranger_only_counted() -> None:
    heard: list[tuple[int, Report]] = []
    beats = BeatSocket(
        is_child=lambda pid: pid == os.getpid(), on_report=lambda pid, report, bad: heard.append((pid, report))
    )
    try:
        send(beats.address, b"READY=1")
        stranger = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
            "s.sendto(b'WATCHDOG=1', chr(0) + sys.argv[1])"
        )
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", stranger, beats.address[1:])
        assert await child.wait() == 0
        beats.receive()
    finally:
        beats.close()
    assert heard == [(os.getpid(), Report(ready=True))]
    assert beats.strangers == 1


async def test_the_address_is_private_to_one_socket() -> None:
    first, second = (BeatSocket(is_child=lambda pid: True, on_report=lambda *_: None) for _ in range(2))
    try:
        assert first.address != second.address
        assert first.address.startswith("@")
    finally:
        first.close()
        second.close()
