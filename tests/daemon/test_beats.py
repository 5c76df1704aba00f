from __future__ import annotations

import asyncio
import os
import socket
import sys

from daemon.beats import BeatSocket
from daemon.reports import Report


def send(address: str, datagram: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, address)


async def test_a_known_child_is_heard_and_a_stranger_only_counted() -> None:
    heard: list[tuple[int, Report]] = []
    beats = BeatSocket(
        is_child=lambda pid: pid == os.getpid(), on_report=lambda pid, report, bad: heard.append((pid, report))
    )
    try:
        send(beats.address, b"READY=1")
        stranger = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
            "s.sendto(b'WATCHDOG=1', sys.argv[1])"
        )
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", stranger, beats.address)
        assert await child.wait() == 0
        beats.receive()
    finally:
        beats.close()
    assert heard == [(os.getpid(), Report(ready=True))]
    assert beats.strangers == 1


async def test_no_other_user_gets_near_the_socket_and_it_needs_no_folder_that_stays() -> None:
    """An abstract name is open to everybody: a stranger could keep the queue full, and healthy children were silent."""
    before = len(os.listdir("/proc/self/fd"))
    beats = BeatSocket(is_child=lambda pid: True, on_report=lambda *_: None)
    try:
        place, _, _number = beats.address.rpartition("/")
        assert place == f"/proc/{os.getpid()}/fd"
        assert os.stat(place).st_mode & 0o777 == 0o500
    finally:
        beats.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_address_is_private_to_one_socket() -> None:
    first, second = (BeatSocket(is_child=lambda pid: True, on_report=lambda *_: None) for _ in range(2))
    try:
        assert first.address != second.address
    finally:
        first.close()
        second.close()
