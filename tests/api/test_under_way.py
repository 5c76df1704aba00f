from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from api import under_way
from api.problems import Problem
from api.sql import Database
from api.under_way import UnderWay
from core.bell import Bell, ring
from core.clock import SystemClock
from screener.jobs.request import Request
from storage import scans
from storage.scans import API_BELL, BELL

ANY = Request(expression="close > 1")


@pytest.fixture
async def database(sqlite_file: Path) -> AsyncIterator[Database]:
    found = Database(f"sqlite:///{sqlite_file}", SystemClock())
    yield found
    found.close()


@pytest.fixture
def scanning(database: Database, tmp_path: Path) -> UnderWay:
    return UnderWay(database, tmp_path, SystemClock(), enabled=True)


def ended() -> scans.Ended:
    return scans.Ended(status="complete", values={}, results=[], errors=[])


async def test_a_scan_is_a_row_and_a_ring(scanning: UnderWay, tmp_path: Path) -> None:
    bell = Bell(tmp_path / BELL)
    bell.hang()
    rings = bell.rings
    scan_id = await scanning.ask(ANY, by="ann")
    await bell.heard(rings, within_s=60, clock=SystemClock())
    assert bell.rings > rings
    row = await scanning.row(scan_id)
    assert (row["status"], row["request"]) == ("pending", {"expression": "close > 1"})
    bell.take_down()


async def test_nobody_may_have_too_many_at_a_time(
    scanning: UnderWay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "MOST", 3)
    monkeypatch.setattr(under_way, "MOST_OF_ONE", 2)
    first = await scanning.ask(ANY, by="ann")
    await scanning.ask(ANY, by="ann")
    with pytest.raises(Problem) as refused:
        await scanning.ask(ANY, by="ann")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    await scanning.ask(ANY, by="bob")
    with pytest.raises(Problem, match="too_many_scans"):
        await scanning.ask(ANY, by="cid")
    await database.write(lambda writer: scans.end(writer, first, ended(), at=SystemClock().utc_now()))
    await scanning.ask(ANY, by="ann")


async def test_who_waits_for_a_scan_is_woken_by_its_end(scanning: UnderWay, database: Database, tmp_path: Path) -> None:
    scanning.bell.hang()
    scan_id = await scanning.ask(ANY, by="ann")
    until = SystemClock().utc_now() + timedelta(seconds=60)
    waiting = asyncio.ensure_future(scanning.ended(scan_id, until=until))
    await database.write(lambda writer: scans.end(writer, scan_id, ended(), at=SystemClock().utc_now()))
    ring(tmp_path / API_BELL)
    assert (await waiting)["status"] == "complete"
    scanning.bell.take_down()


async def test_a_scan_that_takes_too_long_is_told_as_it_is(scanning: UnderWay) -> None:
    scan_id = await scanning.ask(ANY, by="ann")
    assert (await scanning.ended(scan_id, until=SystemClock().utc_now()))["status"] == "pending"


async def test_a_scan_is_stopped_once_and_an_unknown_one_is_a_problem(scanning: UnderWay) -> None:
    scan_id = await scanning.ask(ANY, by="ann")
    assert await scanning.cancel(scan_id) is True
    assert await scanning.cancel(scan_id) is False
    with pytest.raises(Problem, match="unknown_scan"):
        await scanning.row("scan_none")


async def test_without_a_scan_engine_nothing_is_asked(database: Database, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="scan_engine_off"):
        await UnderWay(database, tmp_path, SystemClock(), enabled=False).ask(ANY, by="ann")
