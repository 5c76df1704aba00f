from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.settings import Settings
from screener.feed import QuoteFeed
from screener.jobs.feed import FetchStopped
from screener.jobs.request import read_request
from screener.jobs.scan import Outcome
from screener.service import Service
from screener.store import Store
from simulator import testing
from simulator.record.ledger import Asked
from simulator.world.listings import bundled
from storage.daily_bars import write_daily_bars
from tests.fix_scanners import ShiftedClock, Stage, changed, staged
from tests.fix_scans import LAST_DAY, daily_bars
from tests.fix_simulator import NOON, StillClock

COUNT, BATCH = 60, 5
CROSSES = "close crosses_above sma10"
QUOTE = "/v7/finance/quote"


@pytest_asyncio.fixture
async def wide(tmp_path: Path, sqlite_file: Path) -> AsyncIterator[Stage]:
    """Sixty tickers at noon of a Monday; of Friday and before only their bars are known, of today nothing."""
    symbols = [listing.symbol for listing in bundled()[:COUNT]]
    async with testing.running(tmp_path, symbols=symbols, calendar="XNYS", clock=StillClock()) as market:
        given = staged(market, tmp_path, sqlite_file, clock=ShiftedClock(), calendar="XNYS", tickers=symbols)
        given.settings = changed(given.settings, {"metrics": {"batch_size": BATCH}, "daily": {"history_days": 30}})
        market.server.advance(NOON)
        with given.writer() as writer:
            write_daily_bars(writer, daily_bars({ticker: closes(given, ticker) for ticker in symbols}))
        yield given


def closes(stage: Stage, ticker: str) -> list[float]:
    """Every fifth ticker has stood just under its price of today; the others have fallen from far above it."""
    price = stage.market.market.stocks[ticker].price
    if stage.tickers.index(ticker) % 5 == 4:
        return [price * 0.999] * 20
    return [price * (3.0 - 0.1 * day) for day in range(20)]


async def scanned(stage: Stage, *, prioritization: bool = True, **given: Any) -> Outcome:
    """Run one scan as the scan engine does: in a thread beside the loop."""
    settings = changed(stage.settings, {"screener": {"prioritization": prioritization}})
    return await asyncio.to_thread(run, settings, stage, {"expression": CROSSES, "max_age_s": 3600, **given})


def run(settings: Settings, stage: Stage, given: dict[str, Any]) -> Outcome:
    with opened(settings, stage) as service:
        return service.run(read_request(given), scan_id="scan_x", load=service.store.live)


@contextmanager
def opened(settings: Settings, stage: Stage) -> Iterator[Service]:
    store = Store(settings, service="test", clock=stage.clock)
    with closing(store), closing(QuoteFeed(settings, store, stage.clock)) as feed:
        yield Service(settings, store, stage.clock, feed=feed)


def quote_requests(stage: Stage) -> list[Asked]:
    return stage.market.requests(path=QUOTE)


async def test_the_likeliest_are_fetched_first_and_five_signals_save_most_of_the_fetches(wide: Stage) -> None:
    found = await scanned(wide, max_signals=5)
    assert len(found.results) == 5 and found.data_as_of == str(NOON.date())
    assert found.ended["fetched"] == len(quote_requests(wide)) * BATCH <= COUNT / 2
    assert found.ended["fetches_saved"] == COUNT - found.ended["fetched"]


async def test_without_priority_the_same_scan_fetches_at_least_twice_as_much(wide: Stage) -> None:
    found = await scanned(wide, max_signals=5, prioritization=False)
    assert len(found.results) == 5 and found.ended["fetched"] >= 4 * BATCH


async def test_what_is_fetched_is_in_the_table_and_is_not_fetched_again(wide: Stage) -> None:
    found = await scanned(wide)
    near = {ticker for number, ticker in enumerate(wide.tickers) if number % 5 == 4}
    assert {result["ticker"] for result in found.results} == near
    assert {flag for result in found.results for flag in result["flags"]} >= {"provisional"}
    assert wide.priced() and found.ended["coverage"] == 1.0
    before = len(quote_requests(wide))
    again = await scanned(wide)
    assert len(quote_requests(wide)) == before and again.ended["fetched"] == 0
    assert {result["ticker"] for result in again.results} == near


async def test_nothing_is_fetched_unless_the_scan_asks_for_fresh_prices(wide: Stage) -> None:
    found = await scanned(wide, max_age_s=0)
    assert quote_requests(wide) == [] and found.data_as_of == str(LAST_DAY)


async def test_a_place_in_the_market_is_told_once_all_is_fetched_and_who_did_not_trade_today_is_passed_over(
    wide: Stage,
) -> None:
    quiet = wide.tickers[0]
    wide.market.fault("drop", symbols=[quiet])
    found = await scanned(wide, expression="rank(close) <= 3")
    prices = {ticker: wide.market.market.stocks[ticker].price for ticker in wide.tickers if ticker != quiet}
    assert {result["ticker"] for result in found.results} == set(sorted(prices, key=lambda t: -prices[t])[:3])
    assert found.counts["scanned"] == COUNT and found.status == "complete"


async def test_a_refusal_silences_all_for_a_while_and_a_scan_does_not_wait_for_its_end(wide: Stage) -> None:
    wide.market.fault("too_many", path=QUOTE, times=1)
    found = await scanned(wide)
    assert len(quote_requests(wide)) == 1, "nobody asks in the silence"
    assert len(found.errors) == COUNT / BATCH and "silence" in found.errors[-1]["error"]
    assert found.results == [] and found.counts["scanned"] == COUNT


async def test_who_does_not_answer_is_asked_once_and_not_by_each_batch(wide: Stage) -> None:
    wide.market.fault("unreachable")
    found = await scanned(wide)
    said = [error["error"] for error in found.errors]
    assert len(said) == COUNT / BATCH and "refused" in said[0]
    assert all("did not answer, is asked again in" in each for each in said[1:])


async def test_a_crumb_that_wore_out_is_minted_anew_and_slows_nobody_down(wide: Stage) -> None:
    def twice() -> tuple[Outcome, Outcome]:
        some = read_request({"expression": CROSSES, "max_age_s": 60, "max_signals": 1})
        rest = read_request({"expression": CROSSES, "max_age_s": 60})
        with opened(wide.settings, wide) as service:
            first = service.run(some, scan_id="scan_a", load=service.store.live)
            wide.market.fault("unauthorized", path=QUOTE, times=1)
            return first, service.run(rest, scan_id="scan_b", load=service.store.live)

    first, second = await asyncio.to_thread(twice)
    assert len(first.results) == 1 and second.errors == [] and len(second.results) == COUNT / 5
    assert len(wide.market.requests(path="/v1/test/getcrumb")) == 2


async def test_a_cancelled_scan_does_not_wait_for_its_slot(wide: Stage) -> None:
    network = {"start_requests_per_s": 0.02, "max_requests_per_s": 0.02}
    settings = changed(wide.settings, {"network": network})

    def waiting() -> None:
        looks = iter([False] * 3)
        with opened(settings, wide) as service, pytest.raises(FetchStopped):
            service.feed.fetch(service.store.closed().bars, lambda: next(looks, True))

    await asyncio.to_thread(waiting)
    assert quote_requests(wide) == []


async def test_answers_that_contradict_the_table_are_not_written(wide: Stage) -> None:
    await scanned(wide)
    held = {ticker: row["current_price"] for ticker, row in wide.stocks().items()}
    wide.market.fault("wrong_ticker", path=QUOTE)
    found = await scanned(wide, max_age_s=1e-9)
    assert any("contradict" in error["error"] for error in found.errors)
    assert {ticker: row["current_price"] for ticker, row in wide.stocks().items()} == held


async def test_a_table_of_the_real_market_takes_nothing_of_the_practice_market(wide: Stage) -> None:
    def marked(tx: Any) -> None:
        tx.connection.exec_driver_sql("UPDATE app_meta SET value = 'live' WHERE key = 'origin'")

    with wide.writer(origin=None) as writer:
        writer.run(marked, source="test")
    found = await scanned(wide, max_signals=1)
    assert found.results == [] and "holds live data" in found.errors[0]["error"]
    assert not wide.priced(wide.tickers[:1])
