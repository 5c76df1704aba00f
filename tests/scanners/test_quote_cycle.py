from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from core.errors import Unreachable
from market.quotes import Quote
from net.client import HttpClient
from scanners.context import Context
from scanners.lane import DirectLane
from scanners.quote_cycle import CycleResult, QuoteCycle
from storage.quotes import write_quotes
from tests.fix_scanners import NOON, ShiftedClock, Stage

QUOTE = "/v7/finance/quote"


async def run_cycle(
    stage: Stage,
    context: Context,
    tickers: Sequence[str] | None = None,
    *,
    deadline_s: float = 1000.0,
) -> CycleResult:
    async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
        with stage.writer() as writer:
            lane = DirectLane(context, http)
            cycle = QuoteCycle(context, writer, lane, session=context.session())
            return await cycle.run(tickers or stage.tickers, concurrency=8, deadline_s=deadline_s)


def document(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"quoteResponse": {"result": rows, "error": None}}).encode()


def a_row(symbol: str, **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "currency": "USD",
        "quoteType": "EQUITY",
        "regularMarketPrice": 101.0,
        "regularMarketChange": 1.0,
        "regularMarketChangePercent": 1.0,
        "regularMarketTime": 1795453200,
        "regularMarketVolume": 5000,
    } | more


async def test_a_cycle_writes_what_the_market_says_and_records_itself(still_stage: Stage) -> None:
    result = await run_cycle(still_stage, still_stage.context("metrics"))
    assert result == CycleResult(status="complete", updated=8, missing=0, failed=0)
    for ticker, row in still_stage.stocks().items():
        true = still_stage.market.market.stocks[ticker]
        assert (row["volume"], row["days_low"], row["days_high"]) == (true.volume, true.low, true.high)
        assert (row["open_price"], row["previous_close"]) == (true.open, true.previous_close)
        assert row["metrics_updated_at"] is not None
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["expected"], run["updated"], run["failed"], run["skipped"]) == ("complete", 8, 8, 0, 0)
    assert run["session"] == "2026-11-23"
    assert run["detail"]["requests"] == 3
    assert still_stage.coverage("metrics") == [{"fresh": 8, "unchanged": 0, "no_trade": 0, "unknown": 0, "total": 8}]


async def test_a_ticker_unknown_to_the_upstream_is_missing_and_named(still_stage: Stage) -> None:
    still_stage.market.faults.drop_symbols.add("SOHO")
    result = await run_cycle(still_stage, still_stage.context("metrics"))
    assert result == CycleResult(status="complete", updated=7, missing=1, failed=0)
    assert still_stage.stocks()["SOHO"]["metrics_updated_at"] is None
    assert still_stage.runs("metrics")[0]["detail"]["missing"] == ["SOHO"]
    assert still_stage.coverage("metrics")[0] | {"no_trade": 1, "unknown": 0} == still_stage.coverage("metrics")[0]


async def test_rows_that_were_never_asked_for_are_counted_and_not_written(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 200, document(a_row("AAPL"), a_row("MSFT")))
    result = await run_cycle(still_stage, still_stage.context("metrics"), ["AAPL"])
    assert result.updated == 1
    assert still_stage.stocks("metrics_updated_at IS NOT NULL").keys() == {"AAPL"}
    assert still_stage.stocks()["MSFT"]["volume"] is None
    assert still_stage.runs("metrics")[0]["detail"]["refused"]["foreign"] == 1


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"currency": "EUR"}, "currency"),
        ({"regularMarketChange": -40.0}, "change"),
        ({"regularMarketTime": 4_000_000_000}, "future"),
        ({"regularMarketDayLow": 9.0, "regularMarketDayHigh": 11.0}, "price_outside_day"),
        ({"regularMarketDayLow": 1.0, "regularMarketDayHigh": 10100.0}, "day_range"),
    ],
)
async def test_a_quote_that_contradicts_itself_is_not_written_and_not_fresh(
    still_stage: Stage, wrong: dict[str, Any], rule: str
) -> None:
    still_stage.market.server.answer_status(QUOTE, 200, document(a_row("AAPL", **wrong), a_row("MSFT")))
    await run_cycle(still_stage, still_stage.context("metrics"), ["AAPL", "MSFT"])
    assert still_stage.stocks("metrics_updated_at IS NOT NULL").keys() == {"MSFT"}
    assert still_stage.stocks()["AAPL"]["volume"] is None
    assert still_stage.runs("metrics")[0]["detail"]["refused"][rule] == 1
    assert still_stage.coverage("metrics") == [{"fresh": 1, "unchanged": 0, "no_trade": 0, "unknown": 1, "total": 2}]
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["expected"], run["updated"], run["failed"], run["skipped"]) == ("complete", 2, 1, 1, 0)


async def test_what_the_table_does_not_take_is_not_counted_as_updated(still_stage: Stage) -> None:
    """Another process has written a newer answer of one ticker meanwhile."""
    tomorrow = NOON + timedelta(days=1)
    with still_stage.writer() as writer:
        newer = Quote(ticker="AAPL", volume=7)
        write_quotes(writer, [newer], at=tomorrow, session_opens_at=None, session_closes_at=None)
    still_stage.market.server.answer_status(QUOTE, 200, document(a_row("AAPL"), a_row("MSFT")))
    result = await run_cycle(still_stage, still_stage.context("metrics"), ["AAPL", "MSFT"])
    assert result == CycleResult(status="complete", updated=1, missing=0, failed=1)
    assert still_stage.runs("metrics")[0]["detail"]["refused"]["by_table"] == 1
    assert still_stage.stocks()["AAPL"]["volume"] == 7


async def test_at_its_deadline_a_cycle_ends_as_partial_with_honest_counts(still_stage: Stage) -> None:
    """The first batch of four is answered, the second meets a 429 and a rest longer than the cycle."""
    context = still_stage.context("metrics", metrics={"batch_size": 4}, clock=ShiftedClock(speed=20))
    names = still_stage.tickers[:4]
    rows = document(*(a_row(name) for name in names))
    still_stage.market.server.answer_status(QUOTE, 200, rows)
    still_stage.market.server.answer_status(QUOTE, 429, times=20)
    async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
        with still_stage.writer() as writer:
            cycle = QuoteCycle(context, writer, DirectLane(context, http), session=context.session())
            result = await cycle.run(still_stage.tickers, concurrency=1, deadline_s=25)
    assert result == CycleResult(status="partial", updated=4, missing=0, failed=4)
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["updated"], run["failed"]) == ("partial", 4, 4)
    assert run["detail"]["failures"] == {"RateLimited": 1}
    assert still_stage.coverage("metrics") == [{"fresh": 4, "unchanged": 0, "no_trade": 0, "unknown": 4, "total": 8}]


async def test_a_cycle_that_brought_nothing_has_failed(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 500, times=100)
    context = still_stage.context("metrics", clock=ShiftedClock(speed=10))
    result = await run_cycle(still_stage, context, deadline_s=5)
    assert result == CycleResult(status="failed", updated=0, missing=0, failed=8)
    assert still_stage.runs("metrics")[0]["status"] == "failed"


async def test_once_an_upstream_that_is_away_leaves_a_failed_run_not_a_running_one(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    with pytest.raises(Unreachable):
        await run_cycle(still_stage, still_stage.context("metrics", once=True))
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["failed"], run["detail"]["failures"]) == ("failed", 8, {})


async def test_the_next_cycle_marks_one_that_never_ended_as_aborted(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    running = asyncio.ensure_future(run_cycle(still_stage, context))
    while not still_stage.runs("metrics") and not running.done():
        await asyncio.wait([running], timeout=0.001)
    running.cancel()
    await asyncio.wait([running])
    await run_cycle(still_stage, still_stage.context("metrics"))
    assert [run["status"] for run in still_stage.runs("metrics")] in (["aborted", "complete"], ["complete"] * 2)


async def test_an_answer_whose_rows_are_each_others_is_not_written(still_stage: Stage) -> None:
    """The first cycle has nothing to hold an answer against; the second knows the prices."""
    await run_cycle(still_stage, still_stage.context("metrics"))
    before = still_stage.stocks()
    still_stage.market.fault("wrong_ticker", times=2)
    result = await run_cycle(still_stage, still_stage.context("metrics", clock=ShiftedClock(speed=20)))
    assert result == CycleResult(status="complete", updated=8, missing=0, failed=0)
    assert still_stage.runs("metrics")[-1]["detail"]["failures"] == {"Contradiction": 2}
    assert {ticker: row["previous_close"] for ticker, row in still_stage.stocks().items()} == {
        ticker: row["previous_close"] for ticker, row in before.items()
    }


async def test_the_record_says_how_tickers_came_and_why_others_did_not(still_stage: Stage) -> None:
    still_stage.market.faults.drop_symbols.add("SOHO")
    await run_cycle(still_stage, still_stage.context("metrics"))
    assert still_stage.runs("metrics")[0]["detail"]["why"] == {"fresh_by_direct": 7, "unknown_to_yahoo": 1}
