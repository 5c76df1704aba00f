from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from core.clock import SystemClock
from core.errors import RetryLater
from core.notify import Notifier
from core.settings import Database, Settings
from proxies import pool, work
from proxies.model import Member
from proxies.work import main
from simulator.testing import PracticeMarket
from storage.engine import open_reader_engine
from storage.proxies import read_sources
from tests.fix_proxies import added, settings_of

pytestmark = pytest.mark.usefixtures("patient_crowd")

PATIENCE_S = 60.0


class Heard(Notifier):
    """Keeps what the process says."""

    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []

    def status(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "ROUND_S", 0.05)


def given(market: PracticeMarket, folder: Path, sqlite_file: Path, **proxies: object) -> Settings:
    settings = settings_of(market, folder)
    return msgspec.structs.replace(
        settings,
        database=Database(url=f"sqlite:///{sqlite_file}"),
        proxies=msgspec.structs.replace(settings.proxies, **proxies),
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Heard]:
    stop, heard = asyncio.Event(), Heard()
    async with asyncio.TaskGroup() as group:
        group.create_task(main(settings, stop, heard))
        try:
            yield heard
        finally:
            stop.set()


async def until(engine: Engine, true: Callable[[list[Member]], bool]) -> list[Member]:
    async with asyncio.timeout(PATIENCE_S):
        while not true(members := pool.load(engine)):
            await SystemClock().sleep(0.05)
    return members


def gold(count: int) -> Callable[[list[Member]], bool]:
    return lambda members: sum(each.state == "gold" for each in members) == count


async def test_a_list_is_harvested_checked_promoted_and_written(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path
) -> None:
    url = "https://raw.githubusercontent.com/monosans/proxy-list/main/proxies/all.txt"
    for kind, protocol in (("good", "http"), ("good", "socks5"), ("good", "socks4a"), ("tamper_all", "http")):
        added(practice_market, kind, protocol)
    settings = given(practice_market, tmp_path, sqlite_file, sources=[url])
    engine = open_reader_engine(settings.database.url, service="test")
    async with running(settings) as heard:
        members = await until(engine, gold(3))
        async with asyncio.timeout(PATIENCE_S):
            while not any("3 gold by 3 exits" in said for said in heard.said):
                await SystemClock().sleep(0.05)
    (source,) = read_sources(engine)
    engine.dispose()
    assert {each.address.protocol for each in members if each.state == "gold"} == {"http", "socks4", "socks5"}
    assert all(url in each.sources for each in members)
    assert source.candidates == 4 and source.fetched_at is not None
    assert len((tmp_path / "http_proxies.txt").read_text().splitlines()) == 2


async def test_a_users_file_is_a_source_and_survives_as_it_was(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path
) -> None:
    mine = f"{added(practice_market, 'good').text}\n{added(practice_market, 'dead').text}\n"
    (tmp_path / "http_proxies.txt").write_text(mine)
    settings = given(practice_market, tmp_path, sqlite_file)
    engine = open_reader_engine(settings.database.url, service="test")
    async with running(settings):
        members = await until(engine, gold(1))
        async with asyncio.timeout(PATIENCE_S):
            while not (tmp_path / "http_proxies.txt.before-tickerd").exists():
                await SystemClock().sleep(0.05)
    engine.dispose()
    assert {each.sources for each in members} == {"file"}
    assert (tmp_path / "http_proxies.txt.before-tickerd").read_text() == mine


@pytest.mark.parametrize(("kind", "said"), [("", work.NO_SOURCES), ("dead", work.ALL_DEAD)])
async def test_an_empty_pool_is_said_with_what_to_do(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path, kind: str, said: str
) -> None:
    if kind:
        (tmp_path / "http_proxies.txt").write_text(f"{added(practice_market, kind).text}\n")
    async with running(given(practice_market, tmp_path, sqlite_file)) as heard:
        async with asyncio.timeout(PATIENCE_S):
            while said not in heard.said:
                await SystemClock().sleep(0.05)
    engine = open_reader_engine(f"sqlite:///{sqlite_file}", service="test")
    assert gold(0)(pool.load(engine))
    engine.dispose()


async def test_yahoo_away_is_waited_out(practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path) -> None:
    (tmp_path / "http_proxies.txt").write_text(f"{added(practice_market, 'good').text}\n")
    settings = given(practice_market, tmp_path, sqlite_file)
    practice_market.fault("unreachable")
    async with running(settings) as heard:
        async with asyncio.timeout(PATIENCE_S):
            while not any("502" in said for said in heard.said):
                await SystemClock().sleep(0.05)
        practice_market.clear()
        engine = open_reader_engine(settings.database.url, service="test")
        (member,) = await until(engine, gold(1))
        engine.dispose()
    assert member.fail == 0, "it was not the proxy's fault"


async def test_the_database_away_is_waited_out_and_what_was_seen_is_written_then(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "http_proxies.txt").write_text(f"{added(practice_market, 'good').text}\n")
    settings = given(practice_market, tmp_path, sqlite_file)
    record, load, away = pool.record, pool.load, [True]

    def sometimes(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if away and real is record:
                away.append(True)  # from now on, nothing can be read either
            if len(away) > 1:
                raise RetryLater("the database is away", where="tickerd.db")
            return real(*arguments, **named)

        return call

    monkeypatch.setattr(pool, "record", sometimes(record))
    monkeypatch.setattr(pool, "load", sometimes(load))
    async with running(settings) as heard:
        async with asyncio.timeout(PATIENCE_S):
            while not any("the database is away" in said for said in heard.said):
                await SystemClock().sleep(0.05)
        away.clear()
        engine = open_reader_engine(settings.database.url, service="test")
        await until(engine, gold(1))
        await until(engine, lambda members: members[0].ok == 2)  # the check, and its promotion
        engine.dispose()
    charts = [each for each in practice_market.requests() if each.path.startswith("/v8/") and each.exit != "192.0.2.1"]
    assert len(charts) == 1, "asked once"


async def test_gold_running_low_asks_the_lists_again_before_the_hour(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LOW_AGAIN_S", 0.2)
    url = "https://raw.githubusercontent.com/clarketm/proxy-list/master/proxy-list-raw.txt"
    first = added(practice_market, "good")
    settings = given(practice_market, tmp_path, sqlite_file, sources=[url], wanted=2)
    engine = open_reader_engine(settings.database.url, service="test")
    async with running(settings):
        await until(engine, gold(1))
        second = added(practice_market, "good")
        members = await until(engine, gold(2))
        asked = len([each for each in practice_market.requests() if "clarketm" in each.path])
        await SystemClock().sleep(0.5)
        assert len([each for each in practice_market.requests() if "clarketm" in each.path]) <= asked + 1, "enough now"
    engine.dispose()
    assert {first, second} <= {each.address for each in members}


async def test_ones_own_proxy_that_was_down_is_tried_again_with_the_next_harvest(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LOW_AGAIN_S", 0.2)
    own = added(practice_market, "dead")
    settings = given(practice_market, tmp_path, sqlite_file, own=[own.url])
    engine = open_reader_engine(settings.database.url, service="test")
    async with running(settings):
        await until(engine, lambda members: [each.state for each in members] == ["evicted"])
        practice_market.turn(own.text, "good")
        (member,) = await until(engine, gold(1))
    engine.dispose()
    assert member.sources == "own"
