from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RetryLater, Unreachable
from net.client import HttpClient
from scanners.context import Context
from scanners.lane import DirectLane
from scanners.sweep import Sweep, SweepResult, batches_of
from simulator import testing
from simulator.world import listings
from tests.fix_scanners import PATIENCE_S, ShiftedClock, Stage, eventually, staged
from tests.fix_simulator import StillClock
from yahoo.quote import QuoteAnswer

QUOTE = "/v7/finance/quote"


class Taken:
    """Accepts answers."""

    def __init__(self) -> None:
        self.answers: list[QuoteAnswer] = []

    async def accept(self, answer: QuoteAnswer) -> None:
        self.answers.append(answer)

    @property
    def tickers(self) -> list[str]:
        return sorted(quote.ticker for answer in self.answers for quote in answer.quotes)


@asynccontextmanager
async def sweeping(context: Context, taken: Taken) -> AsyncIterator[tuple[Sweep, DirectLane]]:
    async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
        lane = DirectLane(context, http)
        yield Sweep(context, lane, taken.accept, stage="metrics"), lane


async def swept(
    context: Context, tickers: Sequence[str], taken: Taken, *, batch_size: int = 100, deadline_s: float = 1000.0
) -> tuple[SweepResult, int]:
    async with sweeping(context, taken) as (sweep, lane):
        result = await sweep.run(tickers, batch_size=batch_size, concurrency=8, deadline_s=deadline_s)
        return result, lane.requests


@given(st.lists(st.text(min_size=1), max_size=50), st.integers(1, 12))
def test_batches_hold_every_ticker_once_in_order(tickers: list[str], size: int) -> None:
    batches = batches_of(tickers, size)
    assert [ticker for batch in batches for ticker in batch] == tickers
    assert len(batches) == (len(tickers) + size - 1) // size


@pytest.fixture
async def large_stage(tmp_path: Path, sqlite_file: Path) -> AsyncIterator[Stage]:
    """250 tickers at noon of a Monday."""
    symbols = [listing.symbol for listing in listings.bundled()[:250]]
    async with testing.running(tmp_path, symbols=symbols, calendar="XNYS", clock=StillClock()) as market:
        yield staged(market, tmp_path, sqlite_file, clock=ShiftedClock(), calendar="XNYS", tickers=symbols)


async def test_250_tickers_cost_two_requests_for_the_crumb_and_three_for_the_quotes(large_stage: Stage) -> None:
    taken = Taken()
    result, requests = await swept(large_stage.context("metrics"), large_stage.tickers, taken)
    assert taken.tickers == sorted(large_stage.tickers)
    assert (requests, result.done, len(result.missing), len(result.unasked)) == (5, 250, 0, 0)


async def test_a_batch_that_is_refused_is_asked_in_halves(large_stage: Stage) -> None:
    """The practice market refuses more than 100 as Yahoo does: 250 are asked as 125 and 125, then 62 and 63 twice."""
    taken = Taken()
    context = large_stage.context("metrics", clock=ShiftedClock(speed=20))
    result, _ = await swept(context, large_stage.tickers, taken, batch_size=250)
    assert taken.tickers == sorted(large_stage.tickers)
    assert sorted(len(answer.quotes) for answer in taken.answers) == [62, 62, 63, 63]
    assert result.failures == {"BatchRefused": 3}


async def test_a_ticker_that_the_upstream_leaves_out_is_missing_not_answered(still_stage: Stage) -> None:
    still_stage.market.faults.drop_symbols.add("SOHO")
    result, _ = await swept(still_stage.context("metrics"), [*still_stage.tickers, "ZZZZ"], Taken())
    assert result.missing == {"SOHO", "ZZZZ"}
    assert result.done == 9


async def test_a_worn_out_crumb_is_minted_anew_and_the_pass_completes(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 401)
    taken = Taken()
    context = still_stage.context("metrics", clock=ShiftedClock(speed=20))
    result, requests = await swept(context, still_stage.tickers, taken)
    assert taken.tickers == sorted(still_stage.tickers)
    assert (requests, result.failures) == (2 + 1 + 2 + 1, {"RateLimited": 1})


async def test_after_a_429_the_pass_rests_and_completes(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 429)
    clock, taken = ShiftedClock(speed=100), Taken()
    started_s = clock.monotonic_s()
    result, _ = await swept(still_stage.context("metrics", clock=clock), still_stage.tickers, taken, deadline_s=600)
    assert clock.monotonic_s() - started_s >= 30.0
    assert result.done == 8


async def test_a_rest_longer_than_the_pass_ends_it_at_its_deadline(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 429)
    clock = ShiftedClock(speed=20)
    started_s = clock.monotonic_s()
    context = still_stage.context("metrics", clock=clock)
    result, _ = await swept(context, still_stage.tickers, Taken(), deadline_s=15)
    assert clock.monotonic_s() - started_s < 29.0
    assert (result.done, [sorted(batch) for batch in result.unasked]) == (0, [sorted(still_stage.tickers)])
    assert result.failures == {"RateLimited": 1}


async def test_an_upstream_that_is_away_is_asked_again_until_it_answers(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    context, taken = still_stage.context("metrics", clock=ShiftedClock(speed=20)), Taken()
    async with sweeping(context, taken) as (sweep, _):
        running = asyncio.ensure_future(sweep.run(still_stage.tickers, batch_size=4, concurrency=8, deadline_s=600))
        await eventually(lambda: sweep.result.failures["Unreachable"] >= 3)
        still_stage.market.faults.refuse_connections = False
        await running
    assert taken.tickers == sorted(still_stage.tickers)


async def test_once_an_upstream_that_never_answered_ends_the_pass(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    with pytest.raises(Unreachable):
        await swept(still_stage.context("metrics", once=True), still_stage.tickers, Taken())


async def test_an_answer_that_was_cut_off_or_is_no_document_is_asked_again(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 200, b"<html>captive</html>")
    still_stage.market.server.answer_status(QUOTE, 502, b"bad gateway")
    taken = Taken()
    result, _ = await swept(still_stage.context("metrics", clock=ShiftedClock(speed=20)), still_stage.tickers, taken)
    assert taken.tickers == sorted(still_stage.tickers)
    assert result.failures == {"BadAnswer": 2}


async def test_the_database_being_away_ends_the_pass(still_stage: Stage) -> None:
    class Away(Taken):
        async def accept(self, answer: QuoteAnswer) -> None:
            raise RetryLater("is away")

    with pytest.raises(RetryLater, match="is away"):
        await swept(still_stage.context("metrics"), still_stage.tickers, Away(), batch_size=2)


async def test_a_stop_ends_the_pass_though_the_upstream_is_silent(still_stage: Stage, silent_proxy: str) -> None:
    """The client would wait for a minute."""
    context, taken = still_stage.context("metrics", network={"proxy": silent_proxy}), Taken()
    async with sweeping(context, taken) as (sweep, lane):
        running = asyncio.ensure_future(sweep.run(still_stage.tickers, batch_size=4, concurrency=8, deadline_s=600))
        await eventually(lambda: lane.requests)
        context.stop.set()
        result = await asyncio.wait_for(running, PATIENCE_S / 2)
    assert sorted(ticker for batch in result.unasked for ticker in batch) == sorted(still_stage.tickers)
    assert result.failures == {}


@pytest.fixture
async def silent_proxy() -> AsyncIterator[str]:
    """The address of a proxy that takes connections and says nothing."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: taken.append(writer), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in taken:
        writer.transport.abort()


async def test_progress_is_shown_as_answers_come(still_stage: Stage) -> None:
    context = still_stage.context("metrics")
    await swept(context, still_stage.tickers, Taken(), batch_size=4)
    progress = context.pulse.progress
    assert progress is not None
    assert (progress.stage, progress.done, progress.total, progress.eta_s) == ("metrics", 8, 8, 0.0)


async def test_a_ticker_that_is_refused_alone_three_times_holds_the_pass_up_no_longer(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 400, times=3)
    result, _ = await swept(still_stage.context("metrics", clock=ShiftedClock(speed=20)), ["AAPL"], Taken())
    assert (result.missing, result.answered, len(result.unasked)) == ({"AAPL"}, set(), 0)
    assert result.failures == {"BadAnswer": 3}


async def test_who_counts_more_than_tickers_shows_the_progress_himself(still_stage: Stage) -> None:
    shown: list[tuple[int, int]] = []
    context, taken = still_stage.context("daily"), Taken()
    async with HttpClient(ca_path=context.trust.ca_path, proxy=context.settings.network.proxy) as http:
        lane = DirectLane(context, http)
        sweep = Sweep(context, lane, taken.accept, stage="quotes", advance=lambda *each: shown.append(each))
        await sweep.run(still_stage.tickers, batch_size=4, concurrency=1, deadline_s=1000.0)
    assert shown == [(4, 8), (8, 8)]
    assert context.pulse.progress is None


async def test_rows_that_contradict_what_is_known_are_asked_for_in_ever_smaller_lists(still_stage: Stage) -> None:
    """Else a batch in which many prices truly jumped would be asked for until the deadline."""

    class Doubting(Taken):
        async def accept(self, answer: QuoteAnswer) -> bool:  # type: ignore[override]
            await super().accept(answer)
            return len(answer.quotes) == 1

    doubting = Doubting()
    result, _ = await swept(still_stage.context("daily", clock=ShiftedClock(speed=50)), ["AAPL", "F", "SPY"], doubting)
    assert result.answered == {"AAPL", "F", "SPY"}
    assert [len(answer.quotes) for answer in doubting.answers] == [3, 1, 2, 1, 1]
    assert result.failures == {"Contradiction": 2}
