from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path

import pytest

from core.bell import Bell, ring
from tests.fix_clock import FakeClock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in a folder")


async def test_a_ring_wakes_everybody_who_listens_long_before_the_time_is_over(tmp_path: Path) -> None:
    bell, clock = Bell(tmp_path / "bell"), FakeClock()
    bell.hang()
    rings = bell.rings
    waiting = [asyncio.ensure_future(bell.heard(rings, within_s=3600, clock=clock)) for _ in range(3)]
    await asyncio.sleep(0)  # noqa: TID251  (they begin to wait)
    ring(tmp_path / "bell")
    await asyncio.gather(*waiting)
    assert bell.rings == rings + 1
    bell.take_down()


async def test_a_ring_between_looking_and_listening_is_not_missed(tmp_path: Path) -> None:
    bell, clock = Bell(tmp_path / "bell"), FakeClock()
    bell.hang()
    rings = bell.rings
    ring(tmp_path / "bell")
    await bell.heard(rings, within_s=3600, clock=clock)
    assert bell.rings > rings
    bell.take_down()


async def test_without_a_ring_the_time_ends_the_waiting(tmp_path: Path) -> None:
    bell, clock = Bell(tmp_path / "bell"), FakeClock()
    bell.hang()
    waiting = asyncio.ensure_future(bell.heard(bell.rings, within_s=5, clock=clock))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.1)
    assert waiting.done()
    bell.take_down()


async def test_a_bell_that_does_not_hang_only_waits(tmp_path: Path) -> None:
    bell, clock = Bell(tmp_path / "bell"), FakeClock()
    waiting = asyncio.ensure_future(bell.heard(0, within_s=5, clock=clock))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.1)
    assert waiting.done()


async def test_nobody_need_listen_and_nobody_else_may_ring(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    ring(path)
    bell = Bell(path)
    bell.hang()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(100_000 // 512):
        ring(path)
    bell.take_down()
    assert not path.exists()
    ring(path)
