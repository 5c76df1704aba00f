"""Whole cycles of the metrics scanner through a fleet of the practice market."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import RetryLater
from proxies import pool
from proxies.model import Address, Outcome, Protocol
from proxies.rotation import Rotation
from scanners import quote_cycle
from scanners.context import run_scanner
from scanners.metrics import work as metrics_work
from scanners.metrics.work import work
from simulator import testing
from simulator.world import listings
from storage.engine import open_reader_engine
from tests.fix_scanners import ShiftedClock, Stage, eventually, staged
from tests.fix_simulator import StillClock

PROTOCOLS: dict[str, Protocol] = {"http": "http", "socks4a": "socks4", "socks5": "socks5"}
OWN = {"own_networks": ["127.0.0.0/8"], "sources": []}
QUOTE = "/v7/finance/quote"


def fill(stage: Stage) -> None:
    """Put the whole fleet into the pool, each with its exit, as if each had answered once."""
    at = stage.clock.utc_now()
    engine = open_reader_engine(stage.settings.database.url, service="test")
    found = {}
    for member in stage.market.proxies():
        ip, _, port = member.address.rpartition(":")
        found[Address(PROTOCOLS[member.protocol], ip, int(port))] = member.exit
    with stage.writer() as writer:
        pool.add(writer, dict.fromkeys(found, "test"), at=at)
        pool.record(writer, engine, [Outcome(address=each, cause="ok", at=at, latency_ms=100.0) for each in found])
        for address, exit_ip in found.items():
            pool.set_identity(writer, address, exit_ip=exit_ip, cookie="", crumb="", at=at)
    engine.dispose()


async def once(stage: Stage, *, direct: str = "fallback", batch_size: int = 10, **metrics: Any) -> dict[str, Any]:
    """Run one cycle; return its record."""
    given = {"direct": direct, "rest_s": 0.02, "batch_size": batch_size} | metrics
    context = stage.context("metrics", once=True, metrics=given, proxies=OWN)
    await run_scanner(context, work)
    return stage.runs("metrics")[-1]


def wrong(stage: Stage) -> list[str]:
    """Return the tickers whose row does not say what the market says."""
    true = stage.market.market.stocks
    return [
        ticker
        for ticker, row in stage.stocks("metrics_updated_at IS NOT NULL").items()
        if (row["previous_close"], row["volume"], row["days_high"], row["current_price"])
        != (true[ticker].previous_close, true[ticker].volume, true[ticker].high, true[ticker].price)
    ]


def last_errors(stage: Stage) -> dict[str, str | None]:
    """Return kind -> what is known of its last proxy."""
    kinds = {member.address: member.kind for member in stage.market.proxies()}
    return {kinds[row["address"]]: row["last_error"] for row in stage.rows("SELECT * FROM proxy")}


@pytest.fixture
async def crowded(tmp_path: Path, sqlite_file: Path) -> AsyncIterator[Stage]:
    """60 tickers at noon of a Monday."""
    symbols = [listing.symbol for listing in listings.bundled()[:60]]
    async with testing.running(tmp_path, symbols=symbols, calendar="XNYS", clock=StillClock()) as market:
        yield staged(market, tmp_path, sqlite_file, clock=ShiftedClock(), calendar="XNYS", tickers=symbols)


async def test_a_cycle_goes_through_the_pool_and_only_its_witnesses_are_asked_for_directly(crowded: Stage) -> None:
    crowded.market.add_proxies("good", 4)
    crowded.market.add_proxies("good", 2, protocol="socks5")
    fill(crowded)
    run = await once(crowded)
    assert (run["status"], run["updated"]) == ("complete", 60)
    assert run["detail"]["by"] == {"pool": 60}
    direct = [asked for asked in crowded.market.requests(path=QUOTE) if asked.proxy == "direct"]
    assert sum(len(asked.tickers) for asked in direct) == 12  # two of each batch
    assert wrong(crowded) == []


async def test_directly_never_means_never(crowded: Stage) -> None:
    crowded.market.add_proxies("good", 6)
    fill(crowded)
    run = await once(crowded, direct="never")
    assert (run["status"], run["updated"], run["detail"]["by"]) == ("complete", 60, {"pool": 60})
    assert [asked for asked in crowded.market.requests() if asked.proxy == "direct"] == []
    assert [each for each in crowded.market.connections() if each.proxy == "direct"] == []


async def test_only_directly_leaves_the_pool_alone(crowded: Stage) -> None:
    crowded.market.add_proxies("good", 6)
    fill(crowded)
    run = await once(crowded, direct="only")
    assert (run["status"], run["detail"]["by"]) == ("complete", {"direct": 60})
    assert {asked.proxy for asked in crowded.market.requests()} == {"direct"}


async def test_a_hostile_crowd_writes_no_wrong_value_and_each_is_known_by_what_it_did(crowded: Stage) -> None:
    hostile = ("dead", "flaky", "auth", "web_server", "own_certificate", "tamper_all", "captcha", "bomb", "redirect")
    for kind in hostile:
        crowded.market.add_proxies(kind)
    crowded.market.add_proxies("good", 8)
    fill(crowded)
    run = await once(crowded, batch_size=3)
    assert (run["status"], run["updated"]) == ("complete", 60)
    assert wrong(crowded) == []
    told = last_errors(crowded)
    known = {
        "dead": "refused",
        "auth": "needs_password",
        "web_server": "connect_denied",
        "own_certificate": "bad_certificate",
        "tamper_all": "tampered",
        "captcha": "captcha",
        "bomb": "too_big",
        "redirect": "html",
        "good": None,
    }
    asked = {kind: cause for kind, cause in known.items() if told[kind] is not None or kind == "good"}
    assert {kind: told[kind] for kind in asked} == asked
    assert len(asked) >= 7  # a few may not have been needed
    assert "bad_certificate" in run["detail"]["causes"]


async def test_one_changed_number_that_the_rows_own_arithmetic_contradicts_is_found(crowded: Stage) -> None:
    crowded.market.add_proxies("tamper_one")
    crowded.market.add_proxies("good", 5)
    fill(crowded)
    run = await once(crowded)
    assert (run["status"], run["updated"]) == ("complete", 60)
    assert wrong(crowded) == []


async def test_a_pool_that_dies_leaves_the_rest_to_the_direct_lane(crowded: Stage) -> None:
    crowded.market.add_proxies("dead", 4)
    fill(crowded)
    run = await once(crowded, interval_s=1.0)
    assert (run["status"], run["detail"]["by"]) == ("complete", {"direct": 60})
    assert run["detail"]["causes"]["refused"] >= 1


async def test_what_was_minted_and_what_came_of_it_survives_the_process(crowded: Stage) -> None:
    crowded.market.add_proxies("good", 3)
    fill(crowded)
    await once(crowded)
    minted = {row["address"]: row["crumb"] for row in crowded.rows("SELECT * FROM proxy WHERE state = 'gold'")}
    assert len(minted) == 3
    before = len(crowded.market.requests(path="/v1/test/getcrumb", proxy="127*"))
    await once(crowded)
    assert len(crowded.market.requests(path="/v1/test/getcrumb", proxy="127*")) == before


async def test_in_a_second_cycle_the_table_vouches_and_no_request_is_spent_on_it(crowded: Stage) -> None:
    crowded.market.add_proxies("good", 6)
    fill(crowded)
    await once(crowded, direct="never")
    run = await once(crowded, direct="never")
    assert run["detail"]["pool_requests"] == 6
    assert run["detail"]["testimonies"] == 0


async def test_unverified_answers_are_not_written(crowded: Stage) -> None:
    """Two exits alone cannot vouch for each other: of a hundred, two may tell the same lie."""
    crowded.market.add_proxies("good", 2)
    fill(crowded)
    run = await once(crowded, direct="never", cycle_deadline_s=1.0)
    assert (run["status"], run["updated"]) == ("failed", 0)
    assert run["detail"]["unverified"] > 0


async def test_an_exit_that_the_deadline_took_by_surprise_is_free_in_the_next_cycle(
    crowded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded.market.add_proxies("silent", 2)
    fill(crowded)
    rotation = Rotation(rest_s=0.0)
    monkeypatch.setattr(metrics_work, "Rotation", lambda rest_s: rotation)
    await once(crowded, cycle_deadline_s=0.5)
    later_s = crowded.clock.monotonic_s() + 3600.0
    assert len(rotation) == 2 and rotation.next_s(now_s=later_s, waiting=1) < later_s


def askable(stage: Stage, rotation: Rotation) -> int:
    """Return how many may be asked in another cycle, an hour later, side by side."""
    rotation.begin(1000)
    later_s, found = stage.clock.monotonic_s() + 3600.0, 0
    while (member := rotation.pick(tried=(), now_s=later_s, waiting=1000)) is not None:
        rotation.started(member, now_s=later_s)
        found += 1
    return found


async def test_a_database_that_goes_away_in_mid_cycle_costs_no_exit(
    crowded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were being asked when the cycle broke off are free for the next."""

    def is_away(*_: object, **__: object) -> None:
        raise RetryLater("is away")

    crowded.market.add_proxies("good", 2)
    crowded.market.add_proxies("silent", 3)
    fill(crowded)
    rotation = Rotation(rest_s=0.0)
    monkeypatch.setattr(metrics_work, "Rotation", lambda rest_s: rotation)
    monkeypatch.setattr(quote_cycle, "write_quotes", is_away)
    with pytest.raises(RetryLater, match="is away"):
        await once(crowded, batch_size=3)
    assert not any(use.in_flight for use in rotation._uses.values())
    assert askable(crowded, rotation) >= 2  # a silent one may have been given up by then, for its silence


async def test_a_stop_in_mid_cycle_keeps_what_has_come(crowded: Stage) -> None:
    """As when the settings change: the process is ended and begins anew."""
    crowded.market.add_proxies("good", 3)
    crowded.market.add_proxies("silent", 3)
    fill(crowded)
    context = crowded.context("metrics", metrics={"direct": "fallback", "rest_s": 0.2, "batch_size": 3}, proxies=OWN)
    async with crowded.at_work(context, work) as scanner:
        await eventually(lambda: crowded.stocks("metrics_updated_at IS NOT NULL"))
        assert await scanner.stop() is None
    (run,) = crowded.runs("metrics")
    written = crowded.stocks("metrics_updated_at IS NOT NULL")
    assert (run["status"], run["updated"]) == ("partial", len(written))
    assert 0 < len(written) < 60
    assert any(row["ok"] > 1 for row in crowded.rows("SELECT ok FROM proxy")), "what came of them is handed back"
    assert wrong(crowded) == []
    again = await once(crowded)
    assert (again["status"], again["updated"]) == ("complete", 60)
