from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

import scanners.context
from core.errors import FixByHand, RetryLater, Unreachable
from market.quotes import Tick
from scanners.context import run_scanner
from scanners.prices import audit as prices_audit
from scanners.prices import connection as prices_connection
from scanners.prices import table as prices_table
from scanners.prices import work as prices_work
from scanners.prices.book import PriceBook
from scanners.prices.work import work
from storage.prices import PriceRow, flush_prices
from tests.fix_scanners import MONDAY, NOON, ROOT, ShiftedClock, Stage, eventually

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle then ends where its setting says, not at the next whole second; a second trade confirms a jump."""
    monkeypatch.setattr(prices_work, "WATCH_S", 0.05)
    monkeypatch.setattr(prices_work, "JUMP_HOLD_S", 0.0)
    monkeypatch.setattr(prices_audit, "TAKE_OVER_S", 0.2)


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Hold the database's write lock as another program does."""
    with closing(sqlite3.connect(stage.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def moved_away(stage: Stage) -> Iterator[None]:
    files = [stage.file.with_name(stage.file.name + end) for end in ("", "-wal", "-shm")]
    for file in files:
        if file.exists():
            file.rename(file.with_suffix(f"{file.suffix}.away"))
    yield
    for file in files:
        if file.with_suffix(f"{file.suffix}.away").exists():
            file.with_suffix(f"{file.suffix}.away").rename(file)


def trade(stage: Stage, second: int, **prices: float) -> None:
    """Let the market move to this second of noon, with trades of ours at these prices.

    Each price trades in the second before as well: a jump is believed when a later trade confirms it.
    """
    traded = [(stage.market.market.stocks[name.replace("_", "-")], price) for name, price in prices.items()]
    for at in (NOON + (second - 1) * SECOND, NOON + second * SECOND):
        stage.market.market.now_s = int(at.timestamp())
        for stock, price in traded:
            stock.print_trade(value=price, size=100, at_s=int(at.timestamp()))
        stage.market.server.streams.publish([stock for stock, _ in traded])


async def test_every_ticker_of_three_connections_is_priced_as_the_market_says(still_stage: Stage) -> None:
    context = still_stage.context("prices")
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: still_stage.priced() and still_stage.agrees())
        assert len(still_stage.market.server.streams.connections) == 3
        for second in (1, 2, 3):
            still_stage.market.server.advance(NOON + second * SECOND)
        await eventually(still_stage.agrees)
        assert await scanner.stop() is None
    assert {row["price_source"] for row in still_stage.stocks().values()} == {"stream"}


async def test_connections_are_opened_one_after_the_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices_work, "OPEN_GAP_S", 0.4)
    async with stage.at_work(stage.context("prices", prices={"audit": False}), work):
        await eventually(stage.priced)
    opened_s = [each.opened_at_s for each in stage.market.connections(host="streamer*")]
    assert len(opened_s) == 1 + 3  # first whose market it is
    assert [later - earlier > 0.1 for earlier, later in pairwise(opened_s[1:])] == [True, True]


async def test_prices_are_free_of_float_noise(still_stage: Stage) -> None:
    async with still_stage.at_work(still_stage.context("prices"), work):
        await eventually(still_stage.priced)
        trade(still_stage, 1, AAPL=24.53, BRK_B=737.05, F=0.0123)
        await eventually(still_stage.agrees)
    held = {ticker: row["current_price"] for ticker, row in still_stage.stocks().items()}
    assert (held["AAPL"], held["BRK-B"], held["F"]) == (24.53, 737.05, 0.01)


async def test_a_cycle_is_recorded_with_counts_that_add_up(still_stage: Stage) -> None:
    context = still_stage.context("prices", prices={"cycle_s": 0.5})
    async with still_stage.at_work(context, work) as scanner:
        await eventually(still_stage.priced)
        seen = len(still_stage.runs("prices"))
        await eventually(lambda: len(still_stage.runs("prices")) >= seen + 2)
        await scanner.stop()
    runs = still_stage.runs("prices")
    assert {(run["expected"], run["session"]) for run in runs} == {(8, "2026-11-23")}
    assert sum(run["updated"] for run in runs) == 8  # the market stands still: each is written once
    assert all(run["finished_at"] > run["started_at"] for run in runs)
    assert (runs[-1]["status"], runs[-1]["failed"]) == ("complete", 0)
    assert runs[-1]["detail"]["losses"] == {}
    counts = still_stage.coverage("price")[-1]
    assert counts["total"] == 8 == counts["fresh"] + counts["unchanged"]


async def test_a_quiet_ticker_is_confirmed_without_a_new_price(still_stage: Stage) -> None:
    async with still_stage.at_work(still_stage.context("prices", prices={"cycle_s": 0.3}), work):
        await eventually(still_stage.priced)
        first = still_stage.stocks()["SOHO"]
        await eventually(lambda: still_stage.stocks()["SOHO"]["price_updated_at"] > first["price_updated_at"])
        now = still_stage.stocks()["SOHO"]
    assert (now["current_price"], now["price_time"]) == (first["current_price"], first["price_time"])


@pytest.mark.parametrize(("code", "cause"), [(1000, "closed_1000"), (1001, "closed_1001"), (None, "reset")])
async def test_lost_connections_heal_and_are_recorded_by_their_cause(
    stage: Stage, code: int | None, cause: str
) -> None:
    context = stage.context("prices")
    async with stage.at_work(context, work) as scanner:
        await eventually(lambda: stage.priced() and len(stage.market.server.streams.connections) == 3)
        stage.market.server.close_streams(code)
        await eventually(lambda: len(stage.market.server.streams.connections) == 3)
        before = stage.stocks()["AAPL"]["price_time"]
        await eventually(lambda: stage.stocks()["AAPL"]["price_time"] > before)
        await scanner.stop()
    assert stage.runs("prices")[-1]["detail"]["losses"] == {cause: 3}


async def test_a_mute_upstream_is_said_and_heals_by_itself(stage: Stage) -> None:
    context = stage.context("prices", prices={"stall_timeout_s": 0.5, "flush_interval_s": 0.05})
    async with stage.at_work(context, work) as scanner:
        await eventually(stage.priced)
        stage.market.faults.mute_streams = True
        await eventually(lambda: context.pulse.facts["upstream"] == "unreachable")
        assert context.pulse.facts["upstream_since"].endswith("Z")
        stage.market.faults.mute_streams = False
        await eventually(lambda: context.pulse.facts["upstream"] == "reachable")
        assert "upstream_since" not in context.pulse.facts
        await scanner.stop()
    assert stage.runs("prices")[-1]["detail"]["losses"]["stalled"] >= 3


async def test_when_the_stream_is_mute_quotes_keep_the_table_true(stage: Stage) -> None:
    context = stage.context("prices", prices={"stall_timeout_s": 0.5, "cycle_s": 1.5})
    async with stage.at_work(context, work) as scanner:
        await eventually(stage.priced)
        stage.market.fault("mute")
        await eventually(lambda: context.pulse.facts["upstream"] == "unreachable")
        before = stage.stocks()["AAPL"]["price_time"]
        await eventually(lambda: stage.stocks()["AAPL"]["price_time"] > before)
        row = stage.stocks()["AAPL"]
        assert row["price_source"] == "quote"
        assert context.pulse.data_at is not None
        seen = len(stage.runs("prices"))
        await eventually(lambda: len(stage.runs("prices")) >= seen + 2)
        stage.market.clear("mute")
        await eventually(lambda: context.pulse.facts["upstream"] == "reachable")
        await eventually(lambda: stage.stocks()["AAPL"]["price_source"] == "stream")
        await scanner.stop()
    run = stage.runs("prices")[seen]
    assert run["detail"]["why"].get("unknown_disconnected", 0) + run["detail"]["why"].get("unknown_unproven", 0) == 0
    assert run["detail"]["audit"]["requests"] > 2


async def test_a_mute_connection_brings_data_again_and_the_others_go_on(stage: Stage) -> None:
    context = stage.context("prices", prices={"stall_timeout_s": 1.2, "audit": False})
    async with stage.at_work(context, work) as scanner:
        await eventually(lambda: stage.priced() and len(stage.market.server.streams.connections) == 3)
        bad = next(each for each in stage.market.server.streams.connections if "AAPL" in each.subscription.symbols)
        before = stage.stocks()["AAPL"]["price_time"]
        stage.market.fault("mute", connections=[str(bad.page.number)])
        await eventually(lambda: bad not in stage.market.server.streams.connections)
        await eventually(lambda: stage.stocks()["AAPL"]["price_time"] > before)
        assert context.pulse.facts["upstream"] == "reachable"
        await scanner.stop()
    assert stage.runs("prices")[-1]["detail"]["losses"] == {"stalled": 1}


async def test_a_list_cut_at_its_last_symbol_is_found_said_and_covered_by_quotes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices_connection, "CANARY_ALIVE_S", 1.1)
    stage.market.fault("cut_symbols", symbols=8)  # one less than the list with its canary
    context = stage.context("prices", prices={"symbols_per_connection": 8, "cycle_s": 0.6})

    def is_covered() -> bool:
        details = [run["detail"] for run in stage.runs("prices") if run["detail"]]
        return any(each["losses"].get("truncated") and not each["coverage"]["unknown"] for each in details)

    with capture_logs() as logs:
        async with stage.at_work(context, work) as scanner:
            await eventually(is_covered)
            assert context.pulse.facts["stream"]["proven"] == 0
            await scanner.stop()
    lost = next(each for each in logs if each.get("cause") == "truncated")
    assert (lost["event"], lost["asked"], lost["heard"]) == ("stream_connection_lost", 9, 8)


async def test_a_database_that_takes_nothing_does_not_hold_up_the_watch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def never_ends(*_: object, **__: object) -> None:
        begun.set()
        let_go.wait()
        raise RetryLater("is busy")

    context = stage.context("prices", prices={"stall_timeout_s": 0.5, "audit": False})
    async with stage.at_work(context, work):
        await eventually(stage.priced)
        monkeypatch.setattr(prices_table, "flush_prices", never_ends)
        try:
            await eventually(begun.is_set)
            stage.market.fault("mute")
            await eventually(lambda: context.pulse.facts["upstream"] == "unreachable")
        finally:
            monkeypatch.undo()
            let_go.set()


async def test_a_ticker_without_a_name_is_left_out_and_said(still_stage: Stage) -> None:
    with closing(sqlite3.connect(still_stage.file)) as connection:
        connection.execute("UPDATE stocks_stock SET ticker = '' WHERE ticker = 'SOHO'")
        connection.commit()
    with capture_logs() as logs:
        async with still_stage.at_work(still_stage.context("prices"), work):
            await eventually(lambda: still_stage.priced(["AAPL", "SPY", "F"]))
            assert all("" not in each.subscription.symbols for each in still_stage.market.server.streams.connections)
    assert [each["tickers"] for each in logs if each["event"] == "tickers_refused"] == [1]


@pytest.mark.parametrize(
    "sections", [{"prices": {"audit": False}}, {"metrics": {"direct": "never"}}], ids=["audit-off", "address-unused"]
)
async def test_without_an_audit_no_quote_is_asked(still_stage: Stage, sections: dict[str, Any]) -> None:
    still_stage.market.faults.drop_symbols.add("SOHO")
    async with still_stage.at_work(still_stage.context("prices", **sections), work) as scanner:
        await eventually(lambda: still_stage.priced([each for each in still_stage.tickers if each != "SOHO"]))
        await scanner.context.wait(0.5)
        await scanner.stop()
    run = still_stage.runs("prices")[-1]
    assert "audit" not in run["detail"]
    assert run["detail"]["why"]["unknown_unheard"] == 1
    assert still_stage.market.requests(path="/v7/*") == []


async def test_a_ticker_the_stream_never_speaks_of_gets_its_price_from_a_quote(still_stage: Stage) -> None:
    """Its list is cut off before it; the others of the list stay the stream's."""
    still_stage.market.fault("cut_symbols", symbols=1)
    async with still_stage.at_work(still_stage.context("prices"), work) as scanner:
        await eventually(lambda: still_stage.priced() and still_stage.agrees())
        await scanner.stop()
    sources = Counter(row["price_source"] for row in still_stage.stocks().values())
    assert sources == {"stream": 3, "quote": 5}


async def test_what_the_stream_and_quotes_said_is_in_the_record(stage: Stage) -> None:
    stage.market.fault("garbage", forms=["json", "ticker", "price"])
    context = stage.context("prices", prices={"cycle_s": 1.0})
    async with stage.at_work(context, work) as scanner:
        await eventually(lambda: context.pulse.facts.get("quotes") == "reachable")
        await eventually(lambda: len(stage.runs("prices")) >= 4)
        await scanner.stop()
    detail = stage.runs("prices")[-1]["detail"]
    assert sum(detail["why"].values()) == 8 == detail["coverage"]["total"]
    assert detail["stream"] == {"connections": 3, "open": 3, "proven": 3}
    assert set(detail["unknown_fields"]) == {"46", "47"}
    assert sum(detail["audit"]["quotes"].values()) >= 8
    assert detail["frames_skipped"].keys() <= {"not_json", "no_price"}
    assert detail["ticks_refused"].get("unknown_ticker", 0) + sum(detail["frames_skipped"].values()) > 0


async def test_one_bad_connection_does_not_disturb_the_others(stage: Stage) -> None:
    context = stage.context("prices")
    async with stage.at_work(context, work) as scanner:
        await eventually(lambda: stage.priced() and len(stage.market.server.streams.connections) == 3)
        bad = next(each for each in stage.market.server.streams.connections if "AAPL" in each.subscription.symbols)
        stage.market.faults.refuse_connections = True
        bad.close(1001)
        before = stage.stocks()["MSFT"]["price_time"]
        await eventually(lambda: stage.stocks()["MSFT"]["price_time"] > before)
        assert context.pulse.facts["upstream"] == "reachable"
        stage.market.faults.refuse_connections = False
        await scanner.stop()
    losses = stage.runs("prices")[-1]["detail"]["losses"]
    assert losses.pop("closed_1001") == 1
    assert stage.runs("prices")[-1]["status"] == "partial"


async def test_tickers_of_a_list_that_was_cut_off_are_unknown_not_unchanged(still_stage: Stage) -> None:
    still_stage.market.faults.symbols_per_connection = 3  # three tickers pass, the canary behind them does not
    still_stage.market.server.advance(NOON + SECOND)
    clock = ShiftedClock(NOON + timedelta(hours=2))
    context = still_stage.context("prices", clock=clock, prices={"cycle_s": 0.3, "audit": False})
    async with still_stage.at_work(context, work):
        await eventually(lambda: len(still_stage.runs("prices")) >= 3)
    counts = still_stage.coverage("price")[-1]
    # The third list has two tickers and its canary is heard.
    assert counts == {"fresh": 0, "unchanged": 2, "no_trade": 0, "unknown": 6, "total": 8}
    run = still_stage.runs("prices")[1]
    assert (run["status"], run["failed"]) == ("partial", 6)


async def test_a_database_that_moves_away_gets_the_newest_prices_when_it_is_back(still_stage: Stage) -> None:
    context = still_stage.context("prices", prices={"cycle_s": 0.3})
    async with still_stage.at_work(context, work) as scanner:
        await eventually(still_stage.priced)
        with moved_away(still_stage):
            trade(still_stage, 1, AAPL=100.01)
            await eventually(lambda: "unreachable since" in context.pulse.facts.get("database", ""))
            trade(still_stage, 2, AAPL=100.02, MSFT=50.5)
            trade(still_stage, 3, AAPL=100.03)
        await eventually(still_stage.agrees)
        await eventually(lambda: context.pulse.facts["database"] == "reachable")
        assert await scanner.stop() is None
    assert still_stage.stocks()["AAPL"]["current_price"] == 100.03


async def test_a_locked_database_costs_no_price(still_stage: Stage) -> None:
    context = still_stage.context("prices")
    async with still_stage.at_work(context, work) as scanner:
        await eventually(still_stage.priced)
        with locked(still_stage):
            trade(still_stage, 1, AAPL=100.01)
            trade(still_stage, 2, MSFT=200.02)
            await asyncio.gather(*(context.wait(0.05) for _ in range(3)))
            assert not still_stage.agrees()
        await eventually(still_stage.agrees)
        assert await scanner.stop() is None


async def test_the_database_is_said_to_be_back_though_nothing_trades(still_stage: Stage) -> None:
    context = still_stage.context("prices", prices={"cycle_s": 0.3})
    async with still_stage.at_work(context, work):
        await eventually(still_stage.priced)
        with moved_away(still_stage):
            await eventually(lambda: "unreachable since" in context.pulse.facts.get("database", ""))
        await eventually(lambda: context.pulse.facts["database"] == "reachable")


async def test_the_first_prices_of_a_new_process_do_not_wait_for_the_interval(still_stage: Stage) -> None:
    context = still_stage.context("prices", prices={"flush_interval_s": 600.0})
    async with still_stage.at_work(context, work):
        await eventually(lambda: any(row["current_price"] for row in still_stage.stocks().values()))


async def test_what_came_last_is_written_when_the_scanner_is_stopped(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    offer = PriceBook.offer

    def noted(book: PriceBook, tick: Tick, *given: Any, **named: Any) -> Any:
        heard.append(tick.ticker)
        return offer(book, tick, *given, **named)

    monkeypatch.setattr(PriceBook, "offer", noted)
    context = still_stage.context("prices", prices={"flush_interval_s": 60.0})
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: any(row["current_price"] for row in still_stage.stocks().values()))
        await eventually(lambda: len(set(heard) & still_stage.stocks().keys()) == 8)
        trade(still_stage, 1, AAPL=100.01)
        await eventually(lambda: heard.count("AAPL") == 3)
        assert still_stage.stocks()["AAPL"]["current_price"] != 100.01
        assert await scanner.stop(within_s=60) is None
    assert still_stage.agrees()


async def test_a_stop_while_the_database_is_away_says_that_prices_are_lost(still_stage: Stage) -> None:
    context = still_stage.context("prices")
    async with still_stage.at_work(context, work) as scanner:
        await eventually(still_stage.priced)
        with moved_away(still_stage):
            trade(still_stage, 1, AAPL=100.01)
            await eventually(lambda: "unreachable since" in context.pulse.facts.get("database", ""))
            with pytest.raises(RetryLater):
                await scanner.stop()


async def test_a_flush_under_way_at_the_stop_loses_nothing_though_it_fails(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def fails_late(*_: object, **__: object) -> None:
        begun.set()
        let_go.wait()
        monkeypatch.undo()
        raise RetryLater("is busy")

    async with still_stage.at_work(still_stage.context("prices"), work) as scanner:
        await eventually(still_stage.priced)
        monkeypatch.setattr(prices_table, "flush_prices", fails_late)
        trade(still_stage, 1, AAPL=100.01)
        await eventually(begun.is_set)
        scanner.context.stop.set()
        await eventually(lambda: still_stage.runs("prices")[-1]["status"] != "running")
        let_go.set()
        assert await scanner.stop() is None
    assert still_stage.stocks()["AAPL"]["current_price"] == 100.01


async def test_once_ends_by_itself_when_every_ticker_is_written(still_stage: Stage) -> None:
    context = still_stage.context("prices", once=True)
    assert await asyncio.wait_for(run_scanner(context, work), 60) is None
    assert still_stage.agrees()
    (run,) = still_stage.runs("prices")
    assert (run["status"], run["expected"], run["updated"], run["failed"]) == ("complete", 8, 8, 0)


async def test_once_ends_after_one_cycle_though_a_ticker_is_unknown(still_stage: Stage) -> None:
    still_stage.market.faults.drop_symbols.add("SOHO")
    clock = ShiftedClock(speed=0.2)
    context = still_stage.context("prices", once=True, clock=clock, prices={"cycle_s": 12.0})
    running = asyncio.ensure_future(run_scanner(context, work))
    await eventually(lambda: len(still_stage.stocks("current_price IS NOT NULL")) == 7)
    clock.speed = 50.0
    assert await running is None
    (run,) = still_stage.runs("prices")
    assert (run["status"], run["updated"], run["failed"]) == ("partial", 7, 1)
    assert run["detail"]["why"]["unknown_unheard"] == 1
    assert sum(run["detail"]["why"].values()) == 8


async def test_once_without_an_upstream_is_an_error(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    with pytest.raises(Unreachable) as error:
        await run_scanner(still_stage.context("prices", once=True), work)
    assert error.value.exit_code == 69
    assert still_stage.runs("prices") == []


async def test_a_supervised_scanner_waits_for_its_upstream_and_says_so(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    context = still_stage.context("prices")
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: context.pulse.facts.get("upstream") == "unreachable")
        assert context.pulse.facts["upstream_since"].startswith("2026-11-23T17:0")
        still_stage.market.faults.refuse_connections = False
        await eventually(still_stage.priced)
        assert context.pulse.facts["upstream"] == "reachable"
        assert await scanner.stop() is None


async def test_a_stop_while_the_upstream_is_away_ends_at_once(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanners.context, "FIRST_RETRY_S", 1000.0)
    still_stage.market.faults.refuse_connections = True
    context = still_stage.context("prices")
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: context.pulse.facts.get("upstream") == "unreachable")
        assert await scanner.stop(within_s=60) is None


async def test_practice_prices_are_never_written_into_live_data(still_stage: Stage) -> None:
    with still_stage.writer("live") as writer:
        writer.run(lambda tx: tx.wrote(0), source="test")
    context = still_stage.context("prices")
    with pytest.raises(FixByHand, match="holds live data"):
        await asyncio.wait_for(run_scanner(context, work), 60)
    assert still_stage.stocks("current_price IS NOT NULL") == {}
    assert still_stage.runs("prices") == []


async def test_an_empty_universe_is_told_in_one_line(still_stage: Stage) -> None:
    with closing(sqlite3.connect(still_stage.file)) as connection:
        connection.execute("DELETE FROM stocks_stock")
        connection.commit()
    with pytest.raises(FixByHand, match="holds no tickers"):
        await run_scanner(still_stage.context("prices"), work)


async def test_a_fault_of_the_program_ends_the_scanner_instead_of_silencing_it(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(prices_table, "flush_prices", broken)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run_scanner(still_stage.context("prices"), work), 60)


async def test_a_connection_that_fails_by_a_fault_of_the_program_ends_the_scanner(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("scanners.prices.connection.open_stream", broken)
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await asyncio.wait_for(run_scanner(still_stage.context("prices"), work), 60)


async def test_the_first_trade_of_a_session_begins_the_days_range_anew(still_stage: Stage) -> None:
    """The exchange opens on Tuesday while our clock, 30 s late, still says Monday's session."""
    opens_at = MONDAY.opens_at + timedelta(days=1)
    still_stage.market.server.advance(opens_at - SECOND)
    clock = ShiftedClock(opens_at - 30 * SECOND)
    async with still_stage.at_work(still_stage.context("prices", clock=clock), work) as scanner:
        await eventually(lambda: still_stage.stocks()["AAPL"]["price_time"])
        assert still_stage.stocks()["AAPL"]["price_time"] < "2026-11-23 21:00"
        trade(still_stage, 86_400 - 9_000, AAPL=320.0)
        await eventually(lambda: still_stage.stocks()["AAPL"]["current_price"] == 320.0)
        await scanner.stop()
    row = still_stage.stocks()["AAPL"]
    assert row["price_time"] == "2026-11-24 14:30:00.000000"
    assert (row["days_low"], row["days_high"]) == (320.0, 320.0)


@pytest.mark.parametrize("name", ["prices", "metrics"])
def test_the_scanner_imports_neither_yfinance_nor_pandas(name: str) -> None:
    code = (
        f"import json, sys, scanners.main, scanners.{name}.work; from yahoo.stream import FrameParser; FrameParser();"
        "print(json.dumps(sorted({'yfinance', 'pandas', 'numpy', 'simulator'} & sys.modules.keys())))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout) == []


async def test_a_canary_that_is_a_ticker_of_the_table_gets_its_price(still_stage: Stage) -> None:
    async with still_stage.at_work(still_stage.context("prices", prices={"canary": "AAPL"}), work):
        await eventually(lambda: still_stage.priced() and still_stage.agrees())


async def test_what_the_table_does_not_take_is_not_counted_as_updated(still_stage: Stage) -> None:
    """The table holds a newer price of one ticker than the stream's snapshot."""
    newer = PriceRow(ticker="AAPL", price_usd=77.0, price_time=NOON + 30 * SECOND)
    with still_stage.writer() as writer:
        flush_prices(writer, [newer], price_source="quote", session_opens_at=MONDAY.opens_at)
    clock = ShiftedClock(speed=0.2)
    context = still_stage.context("prices", once=True, clock=clock, prices={"cycle_s": 12.0})
    running = asyncio.ensure_future(run_scanner(context, work))
    await eventually(lambda: len(still_stage.stocks("current_price IS NOT NULL")) == 8)
    clock.speed = 50.0
    await running
    (run,) = still_stage.runs("prices")
    assert run["updated"] == 7
    assert run["detail"]["ticks_refused"]["by_table"] >= 1
    assert still_stage.stocks()["AAPL"]["current_price"] == 77.0
