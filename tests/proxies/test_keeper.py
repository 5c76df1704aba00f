from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.progress import Progress
from proxies import pool, states
from proxies.keeper import Keeper, due_for_check, due_for_promotion, due_for_recheck
from proxies.model import Address, Member
from simulator.testing import PracticeMarket
from storage.engine import open_reader_engine
from storage.writer import Writer
from tests.fix_proxies import added, settings_of, tools_of

pytestmark = pytest.mark.usefixtures("patient_crowd")

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def candidate(number: int, **more: object) -> Member:
    return replace(Member(address=Address("http", f"192.0.2.{number}", 80), first_seen=NOW), **more)  # type: ignore[arg-type]


def live(number: int, *, checked_s: float = 0.0, **more: object) -> Member:
    at = NOW - timedelta(seconds=checked_s)
    return replace(states.after(candidate(number), "ok", now=at, latency_ms=500.0), **more)  # type: ignore[arg-type]


def gold(number: int, exit_ip: str) -> Member:
    return states.with_identity(live(number), exit_ip=exit_ip, cookie="A3=x", crumb="c", now=NOW)


def test_new_candidates_are_checked_before_those_that_only_had_to_wait() -> None:
    waited = states.after(candidate(1), "yahoo_limit", now=NOW - timedelta(seconds=200))
    waits = states.after(candidate(2), "yahoo_limit", now=NOW)
    dead = states.after(candidate(3), "refused", now=NOW)
    found = due_for_check([waited, waits, dead, live(4), candidate(5)], NOW)
    assert [each.address.ip[-1] for each in found] == ["5", "1"]


def test_the_longest_unasked_are_looked_at_again_and_a_scanners_answer_counts_as_a_look() -> None:
    members = [live(1, checked_s=301), live(2, checked_s=299), live(3, checked_s=900)]
    assert [each.address.ip[-1] for each in due_for_recheck(members, NOW)] == ["3", "1"]
    asked_by_scanner = states.after(members[2], "ok", now=NOW - timedelta(seconds=5))
    assert [each.address.ip[-1] for each in due_for_recheck([members[0], asked_by_scanner], NOW)] == ["1"]


def test_what_has_cooled_is_looked_at_again() -> None:
    cooled = states.after(live(1, checked_s=700), "timeout", now=NOW - timedelta(seconds=400))
    assert due_for_recheck([cooled], NOW) == [states.woken(cooled, NOW)]


def test_the_best_by_record_are_promoted_not_the_quickest_and_one_of_an_exit() -> None:
    """Who is quick and changes what passes is known by his record alone."""
    quick_but_failing = states.after(states.after(live(1), "timeout", now=NOW), "ok", now=NOW, latency_ms=1.0)
    members = [
        quick_but_failing,
        live(2),
        gold(3, "198.51.100.3"),
        live(4, exit_ip="198.51.100.3"),
        live(5, exit_ip="198.51.100.5"),
        live(6, exit_ip="198.51.100.5"),
        candidate(7),
    ]
    found = due_for_promotion(members, NOW, wanted=4)
    assert [each.address.ip[-1] for each in found] == ["2", "5", "1"]
    assert due_for_promotion(members, NOW, wanted=1) == []


@asynccontextmanager
async def keeping(market: PracticeMarket, folder: Path, sqlite_file: Path) -> AsyncIterator[Keeper]:
    url = f"sqlite:///{sqlite_file}"
    engine = open_reader_engine(url, service="test")
    settings = settings_of(market, folder)
    async with tools_of(market, folder) as tools:
        with Writer.open(url, service="test", origin="practice", clock=SystemClock()) as writer:
            yield Keeper(tools, writer, engine, SystemClock(), file=Path(settings.proxies.file), wanted=100)
    engine.dispose()


async def test_from_a_list_to_gold_and_into_the_file(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path
) -> None:
    kinds = ["good", "good", "shared", "shared", "dead", "tamper_all", "own_certificate", "web_server"]
    fleet = {added(practice_market, kind): kind for kind in kinds}
    said: list[Progress] = []
    async with keeping(practice_market, tmp_path, sqlite_file) as keeper:
        pool.add(keeper._writer, dict.fromkeys(fleet, "https://a/"), at=SystemClock().utc_now())
        members = await keeper.load()
        causes = await keeper.check(members, asyncio.Event(), said.append)
        assert causes == {"ok": 4, "refused": 1, "tampered": 1, "bad_certificate": 1, "connect_denied": 1}
        assert (said[-1].done, said[-1].total) == (8, 8)
        members = await keeper.load()
        now = SystemClock().utc_now()
        assert await keeper.promote(due_for_promotion(members, now, wanted=100), set()) == 3
        members = await keeper.load()
        assert sorted(each.state for each in members) == ["gold", "gold", "gold", "live"]
        assert due_for_promotion(members, now, wanted=100) == [], "the fourth leaves by an exit that is gold"
        assert await keeper.recheck(members) == {"ok": 4}
        assert await keeper.export(await keeper.load()) == 4
        left = pool.load(keeper._engine, states=["evicted"])
    lines = (tmp_path / "http_proxies.txt").read_text().splitlines()[1:]
    assert set(lines) == {address.text for address, kind in fleet.items() if kind in ("good", "shared")}
    assert {fleet[each.address] for each in left} == {"dead", "tamper_all", "own_certificate", "web_server"}


async def test_a_gold_one_that_starts_to_lie_is_found_and_is_gone(
    practice_market: PracticeMarket, tmp_path: Path, sqlite_file: Path
) -> None:
    address = added(practice_market, "good")
    async with keeping(practice_market, tmp_path, sqlite_file) as keeper:
        pool.add(keeper._writer, {address: "https://a/"}, at=SystemClock().utc_now())
        await keeper.check(await keeper.load(), asyncio.Event(), lambda _progress: None)
        await keeper.promote(await keeper.load(), set())
        practice_market.turn(address.text, "tamper_all")
        assert await keeper.recheck(await keeper.load()) == {"tampered": 1}
        assert await keeper.load() == []
