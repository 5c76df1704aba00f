from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.tasks import cancel_all, spawn
from market.quotes import Tick
from market.sessions import Session
from scanners.context import Context
from scanners.prices import audit
from scanners.prices.audit import Audit
from scanners.prices.book import PriceBook
from tests.fix_scanners import MONDAY, NOON, ShiftedClock, Stage, eventually

QUOTE = "/v7/finance/quote"
SECOND = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Audited:
    """An audit at work beside a book that no stream fills."""

    audit: Audit
    book: PriceBook
    context: Context
    unheard: list[str]
    mute: list[bool]

    def quotes(self) -> int:
        return self.audit.detail()["requests"] - 2 if self.audit.detail()["requests"] else 0

    @property
    def verdicts(self) -> dict[str, int]:
        return dict(self.book.audited)

    def hear(self, ticker: str, price: float, *, second: int = 0) -> None:
        tick = Tick(ticker=ticker, price=price, price_time=NOON + second * SECOND, market_hours=1)
        self.book.offer(tick, (MONDAY,), now=self.context.clock.utc_now(), now_s=self.context.clock.monotonic_s())


@asynccontextmanager
async def auditing(
    stage: Stage,
    *,
    clock: ShiftedClock | None = None,
    origin: Any = "practice",
    sessions: Sequence[Session] = (MONDAY,),
    **sections: Any,
) -> AsyncIterator[Audited]:
    context = stage.context("prices", clock=clock, **sections)
    mute, unheard = [False], list[str]()
    book = PriceBook(stage.tickers, hold_s=10.0)
    one = Audit(
        context,
        book,
        origin=origin,
        sessions=lambda: tuple(sessions),
        unheard=lambda: unheard,
        is_mute=lambda: mute[0],
    )
    failures: list[BaseException] = []
    running = spawn(one.run(), name="audit", on_error=failures.append)
    try:
        yield Audited(audit=one, book=book, context=context, unheard=unheard, mute=mute)
    finally:
        context.stop.set()
        await cancel_all([running])
    assert failures == []


def asked(stage: Stage) -> list[list[str]]:
    """Return the tickers of each question, in the order of asking."""
    return [sorted(each.tickers) for each in stage.market.requests(path=QUOTE)]


@pytest.fixture(autouse=True)
def patient_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """At two hundred times the speed the limit would be a tenth of a second."""
    monkeypatch.setattr(audit, "LONGEST_ASK_S", 10_000.0)


async def test_every_ticker_gets_its_quote_without_any_stream(still_stage: Stage) -> None:
    async with auditing(still_stage) as audited:
        await eventually(lambda: audited.verdicts == {"first": 8})
    rows = {row.ticker: (row.price_usd, row.price_time) for row in audited.book.take_quotes()}
    stocks = still_stage.market.market.stocks
    assert {name: (price, int(at.timestamp())) for name, (price, at) in rows.items()} == {
        name: (stocks[name].price, stocks[name].trade_time_s) for name in still_stage.tickers
    }
    assert audited.audit.facts["upstream"] == "reachable"
    assert audited.context.pulse.facts == {}  # what the stream says stays apart
    assert audited.audit.data_at is not None


async def test_a_round_takes_six_minutes_and_begins_with_those_of_which_least_is_known(still_stage: Stage) -> None:
    clock = ShiftedClock(speed=200.0)
    async with auditing(still_stage, clock=clock, metrics={"batch_size": 4}) as audited:
        heard = ("AAPL", "MSFT", "QQQ", "SPY")
        for ticker in heard:
            audited.hear(ticker, still_stage.market.market.stocks[ticker].price)
        started_s = clock.monotonic_s()
        await eventually(lambda: len(asked(still_stage)) >= 4)
        assert 300.0 < clock.monotonic_s() - started_s < 1500.0
    unheard = sorted(set(still_stage.tickers) - set(heard))
    assert asked(still_stage)[:2] == [unheard, sorted(heard)]
    assert sorted(asked(still_stage)[2] + asked(still_stage)[3]) == sorted(still_stage.tickers)


async def test_tickers_that_the_stream_leaves_out_are_asked_each_half_minute(still_stage: Stage) -> None:
    clock = ShiftedClock(speed=50.0)
    async with auditing(still_stage, clock=clock) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        audited.unheard += ["SOHO", "F"]
        started_s = clock.monotonic_s()
        await eventually(lambda: len(asked(still_stage)) >= 4)
        assert 60.0 < clock.monotonic_s() - started_s < 350.0
    assert asked(still_stage)[1:4] == [["F", "SOHO"]] * 3


async def test_only_while_the_stream_is_mute_does_the_audit_compete_for_requests(still_stage: Stage) -> None:
    clock, network = ShiftedClock(speed=50.0), {"start_requests_per_s": 1.0, "max_requests_per_s": 1.0}
    async with auditing(still_stage, clock=clock, network=network) as audited:
        audited.unheard += still_stage.tickers

        async def others_ask() -> None:
            while True:
                await clock.sleep(audited.context.budget.reserve(now_s=clock.monotonic_s()))

        asking = [spawn(others_ask(), name="others", on_error=lambda _error: None) for _ in range(3)]
        await clock.sleep(20.0)
        assert asked(still_stage) == []
        audited.mute[0] = True
        await eventually(lambda: asked(still_stage))
        await cancel_all(asking)


async def test_a_doubtful_price_is_asked_for_at_once_and_once(still_stage: Stage) -> None:
    async with auditing(still_stage) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        aapl = still_stage.market.market.stocks["AAPL"]
        aapl.print_trade(value=3 * aapl.price, size=1, at_s=int(NOON.timestamp()) + 1)
        audited.hear("AAPL", aapl.price, second=1)
        assert list(audited.book.doubtful) == ["AAPL"]
        await eventually(lambda: not audited.book.doubtful)
        assert audited.verdicts["jump_confirmed"] == 1
        assert [row.price_usd for row in audited.book.take()] == [aapl.price]
    assert asked(still_stage)[1:] == [["AAPL"]]


async def test_a_doubt_that_the_market_contradicts_is_dropped(still_stage: Stage) -> None:
    async with auditing(still_stage) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        true = still_stage.market.market.stocks["AAPL"].price
        audited.book.take_quotes()
        audited.hear("AAPL", 100 * true)
        await eventually(lambda: audited.book.refused)
        assert audited.book.refused == {"jump": 1}
        assert audited.book.take() == []
        assert audited.book.seen["AAPL"].price == true


async def test_a_doubt_that_no_quote_can_end_is_asked_again_after_ten_seconds(still_stage: Stage) -> None:
    clock = ShiftedClock(speed=20.0)
    async with auditing(still_stage, clock=clock) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        true = still_stage.market.market.stocks["AAPL"].price
        since_s = clock.monotonic_s()
        audited.hear("AAPL", 100 * true, second=3600)
        audited.hear("AAPL", 100 * true, second=30)  # newer than any quote
        await eventually(lambda: len(asked(still_stage)) >= 3)
        assert clock.monotonic_s() - since_s >= 10.0
        assert list(audited.book.doubtful) == ["AAPL"]


async def test_a_ticker_that_the_endpoint_leaves_out_is_noted(still_stage: Stage) -> None:
    still_stage.market.fault("drop", symbols=["SOHO"])
    async with auditing(still_stage) as audited:
        await eventually(lambda: audited.verdicts == {"first": 7, "unlisted": 1})
        assert audited.book.seen["SOHO"].is_unlisted


async def test_a_quote_that_contradicts_itself_is_counted_and_changes_nothing(still_stage: Stage) -> None:
    row = {
        "symbol": "AAPL",
        "currency": "EUR",
        "quoteType": "EQUITY",
        "regularMarketPrice": 101.0,
        "regularMarketTime": int(NOON.timestamp()),
    }
    foreign = row | {"symbol": "ZZZZ", "currency": "USD"}
    body = json.dumps({"quoteResponse": {"result": [row, foreign], "error": None}}).encode()
    still_stage.market.server.answer_status(QUOTE, 200, body)
    async with auditing(still_stage) as audited:
        await eventually(lambda: audited.verdicts == {"unlisted": 7})
        assert audited.audit.detail()["failures"] == {"refused_currency": 1, "foreign": 1}
        assert audited.book.take_quotes() == []


async def test_a_refusal_slows_all_down_and_the_batch_comes_again(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 429)
    async with auditing(still_stage, clock=ShiftedClock(speed=100.0)) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        assert audited.audit.detail()["failures"] == {"RateLimited": 1}
        assert audited.context.budget.lane().rate_per_s < 1000.0


async def test_a_list_refused_for_its_length_is_asked_shorter_for_the_rest_of_the_round(still_stage: Stage) -> None:
    still_stage.market.fault("batch_limit", symbols=2)
    async with auditing(still_stage, clock=ShiftedClock(speed=200.0), metrics={"batch_size": 4}) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        assert audited.audit.detail()["failures"] == {"BatchRefused": 1}
        await eventually(lambda: len(asked(still_stage)) >= 6)
    assert [len(tickers) for tickers in asked(still_stage)[:6]] == [4, 2, 2, 2, 2, 4]


async def test_an_endpoint_that_is_away_is_said_and_asked_until_it_answers(still_stage: Stage) -> None:
    still_stage.market.fault("refuse")
    async with auditing(still_stage, clock=ShiftedClock(speed=20.0)) as audited:
        await eventually(lambda: audited.audit.facts.get("upstream") == "unreachable")
        assert audited.context.pulse.facts == {}
        still_stage.market.clear("refuse")
        await eventually(lambda: audited.verdicts.get("first") == 8)


async def test_quotes_of_another_market_than_the_streams_are_never_asked(still_stage: Stage) -> None:
    async with auditing(still_stage, origin="live") as audited:
        await audited.context.wait(0.8)
        assert audited.verdicts == {}
    assert asked(still_stage) == []


async def test_a_batch_that_waits_too_long_gives_way_to_the_next(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LONGEST_ASK_S", 0.2)
    network = {"start_requests_per_s": 0.5, "max_requests_per_s": 0.5}
    async with auditing(still_stage, network=network, metrics={"batch_size": 4}) as audited:
        for _ in range(5):
            audited.context.budget.reserve(now_s=audited.context.clock.monotonic_s())
        await audited.context.wait(0.8)
        await eventually(lambda: len(audited.audit._line) == 8)
        assert audited.verdicts == {}


async def test_an_answer_whose_rows_are_each_others_is_not_believed(still_stage: Stage) -> None:
    async with auditing(still_stage, clock=ShiftedClock(speed=20.0)) as audited:
        await eventually(lambda: audited.verdicts.get("first") == 8)
        before = {ticker: seen.price for ticker, seen in audited.book.seen.items()}
        audited.book.take_quotes()
        still_stage.market.fault("wrong_ticker", times=1)
        audited.unheard += still_stage.tickers
        with capture_logs() as logs:
            await eventually(lambda: any(each["event"] == "quotes_contradict" for each in logs))
        assert audited.book.take_quotes() == []
        await eventually(lambda: audited.verdicts.get("confirmed", 0) >= 8)
        assert {ticker: seen.price for ticker, seen in audited.book.seen.items()} == before
        assert not audited.book.doubtful
