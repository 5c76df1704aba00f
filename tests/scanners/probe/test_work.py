from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import SystemClock
from core.errors import Unreachable
from scanners.probe import stream as probe_stream
from scanners.probe.search import Crumb, Limit, Proposal
from scanners.probe.work import NEVER
from simulator import testing
from tests.fix_probe import AS_BELIEVED, TICKERS, believing, probed
from tests.fix_scanners import ShiftedClock, Stage, staged
from tests.fix_simulator import StillClock


async def test_a_service_that_is_as_believed_speaks_against_no_setting(
    probed_market: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_stream, "SNAPSHOT_S", 2.0)  # who is heard first shortens the search
    report = await probed(probed_market)
    assert report.symbols_per_connection == Limit(believed=100, found=100, refused=101)
    assert report.batch_size == Limit(believed=100, found=100, refused=101)
    assert report.crumb == Crumb(is_bound_to_cookie=True)
    assert (report.proposals, report.broken_off, report.origin) == ([], [], "practice")
    asked = probed_market.market.requests()
    assert report.requests == len(asked) == 7  # twice a cookie and its crumb, lists of 100 and 101, the wrong crumb
    streams = [each for each in probed_market.market.connections() if each.host.startswith("streamer") and each.symbols]
    assert report.connections == len(streams) == 4


async def test_settings_that_ask_for_too_little_are_corrected_upward(probed_market: Stage) -> None:
    report = await probed(probed_market, **believing(symbols=59, batch=99))
    assert report.proposals == [
        Proposal(key="prices.symbols_per_connection", now=59, proposed=99),
        Proposal(key="metrics.batch_size", now=99, proposed=100),
    ]


async def test_where_this_host_may_not_ask_only_the_stream_is_measured(probed_market: Stage) -> None:
    report = await probed(probed_market, prices=AS_BELIEVED["prices"], metrics={"direct": "never"})
    assert (report.requests, report.batch_size.reason, report.crumb.reason) == (0, NEVER, NEVER)
    assert probed_market.market.requests() == []


async def test_when_the_time_is_over_what_is_left_is_told_as_broken_off(probed_market: Stage) -> None:
    report = await probed(probed_market, time_limit_s=0.2)
    assert report.message_rate.messages_per_s is not None
    assert report.broken_off == [
        f"broken off after {used} and {report.duration_s:.0f} s" for used in ("1 connections", "0 requests")
    ]
    assert report.crumb.reason == "no list was answered with a crumb of its own"
    assert report.proposals == []


@pytest.mark.usefixtures("quick_probe")
async def test_with_a_closed_market_all_but_the_rate_is_measured(tmp_path: Path, sqlite_file: Path) -> None:
    saturday = StillClock().now.replace(day=21)
    async with testing.running(tmp_path, symbols=TICKERS, calendar="XNYS", clock=StillClock(saturday)) as running:
        stage = staged(running, tmp_path, sqlite_file, clock=ShiftedClock(saturday), calendar="XNYS", tickers=TICKERS)
        report = await probed(stage)
    assert report.message_rate.reason == "the market is closed, it opens at 2026-11-23T14:30:00.000Z"
    assert not report.is_market_open
    assert (report.symbols_per_connection.found, report.batch_size.found) == (100, 100)
    assert report.broken_off == []


async def test_an_upstream_that_is_away_is_an_error(probed_market: Stage) -> None:
    probed_market.market.fault("unreachable", host="streamer.*")
    with pytest.raises(Unreachable):
        await probed(probed_market)


@pytest.mark.usefixtures("quick_probe")
async def test_a_table_with_few_tickers_asks_for_no_more_than_it_has(tmp_path: Path, sqlite_file: Path) -> None:
    async with testing.running(tmp_path, symbols=TICKERS[:30]) as running:
        stage = staged(running, tmp_path, sqlite_file, clock=SystemClock(), tickers=TICKERS[:30])
        report = await probed(stage)
    assert (report.symbols_per_connection.found, report.batch_size.found) == (31, 30)
    assert (report.symbols_per_connection.refused, report.proposals) == (None, [])
