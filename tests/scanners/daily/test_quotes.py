from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from core.errors import Unreachable
from scanners.daily.quotes import Quotes
from tests.fix_daily import FRIDAY, QUOTE, MovedClock, a_night, after_close
from tests.fix_scanners import MONDAY, Stage, eventually
from yahoo.quote import QuoteAnswer


async def test_each_ticker_ends_in_a_bar_a_day_without_trade_or_a_reason(still_stage: Stage) -> None:
    still_stage.market.fault("drop", symbols=("F",))
    async with a_night(still_stage) as night:
        left = await night.look()
        assert set(left.quotes) == set(still_stage.tickers)
        await Quotes(night).run(left.quotes)
        assert night.outcomes["quotes", "done"] == 7
        assert night.outcomes["quotes", "unknown"] == 1
        assert night.outcomes["bars", "written"] == 6
        assert night.outcomes["bars", "no_trade"] == 1
        assert night.named["quotes.unknown"] == ["F"]
        assert len((await night.look()).charts) == 8, "none has a history"
    assert still_stage.stocks("metrics_updated_at IS NOT NULL").keys() == set(still_stage.tickers) - {"F"}
    assert still_stage.stocks("daily_updated_at IS NOT NULL") == {}, "that is when fundamentals were answered"
    asked = [set(each.tickers) for each in still_stage.market.requests(path=QUOTE)]
    assert asked == [set(still_stage.tickers), {"F"}], "what is left out is asked for once more"


async def test_a_quote_that_breaks_a_rule_is_counted_and_its_day_left_to_the_chart(still_stage: Stage) -> None:
    still_stage.market.fault("unit_change", key="regularMarketDayHigh", factor=1000.0)
    async with a_night(still_stage) as night:
        await Quotes(night).run(["AAPL"])
        assert night.outcomes["quotes", "refused: day_range"] == 1
    assert still_stage.rows("SELECT rule, refused, example FROM quality_refusal") == [
        {"rule": "day_range", "refused": 1, "example": "AAPL"}
    ]
    assert still_stage.rows("SELECT chart_need FROM daily_progress") == [{"chart_need": "new"}]


async def test_a_close_that_the_stored_bars_do_not_know_asks_for_the_chart(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        await Quotes(night).run(["AAPL", "MSFT"])
        with still_stage.writer() as writer:
            statement = "UPDATE daily_progress SET session = :friday, bars_through = :friday"
            writer.run(lambda tx: tx.connection.exec_driver_sql(statement, {"friday": str(FRIDAY)}), source="test")
            closes = {"AAPL": 1.0, "MSFT": still_stage.market.market.stocks["MSFT"].previous_close}
            rows = [{"ticker": name, "on": str(FRIDAY), "close": close} for name, close in closes.items()]
            insert = (
                "INSERT INTO stocks_daily_bar (ticker, session_date, open, high, low, close, source)"
                " VALUES (:ticker, :on, :close, :close, :close, :close, 'chart')"
            )
            writer.run(lambda tx: tx.connection.exec_driver_sql(insert, rows), source="test")
        await night.look()
        await Quotes(night).run(["AAPL", "MSFT"])
    held = still_stage.rows("SELECT ticker, session, chart_need, bars_through FROM daily_progress ORDER BY ticker")
    assert held == [
        {
            "ticker": "AAPL",
            "session": str(MONDAY.session_date),
            "chart_need": "previous_close",
            "bars_through": str(FRIDAY),
        },
        {
            "ticker": "MSFT",
            "session": str(MONDAY.session_date),
            "chart_need": None,
            "bars_through": str(MONDAY.session_date),
        },
    ]


async def a_wait_passes(clock: MovedClock, *, or_is: Callable[[], bool] = lambda: False) -> None:
    """Let pass what is waited for between two questions: at most ten minutes, unlike the deadline of the whole."""

    def waits_s() -> list[float]:
        return [left_s for each in clock.deadlines if 0.0 < (left_s := each - clock.monotonic_s()) <= 660.0]

    await eventually(lambda: waits_s() or or_is(), timeout_s=60.0)
    clock.advance(timedelta(seconds=min(waits_s(), default=0.0)))


async def test_an_hour_of_nonsense_costs_a_few_requests(still_stage: Stage) -> None:
    """Silence, then one careful request, as in every stage; the rest of the day is soon told."""
    still_stage.market.fault("html", path=QUOTE)
    clock = MovedClock()
    end_s = clock.monotonic_s() + 3600.0
    async with a_night(still_stage, after_close(still_stage, clock=clock)) as night:
        asking = asyncio.ensure_future(Quotes(night).run(still_stage.tickers))
        while clock.monotonic_s() < end_s:
            await a_wait_passes(clock)
        assert 5 < len(still_stage.market.requests(path=QUOTE)) < 100
        still_stage.market.clear()
        while not asking.done():
            await a_wait_passes(clock, or_is=asking.done)
        await asking
        assert night.outcomes["quotes", "done"] == 8


async def test_by_hand_a_network_that_goes_away_between_two_batches_ends_it(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = after_close(still_stage, once=True, speed=500.0, metrics={"batch_size": 1, "concurrency": 1})
    async with a_night(still_stage, context) as night:
        ask = night.lane.quotes

        async def and_no_other(tickers: Sequence[str]) -> QuoteAnswer:
            answer = await ask(tickers)
            still_stage.market.fault("cut", at_bytes=10)
            return answer

        monkeypatch.setattr(night.lane, "quotes", and_no_other)
        with pytest.raises(Unreachable):
            await Quotes(night).run(still_stage.tickers)
        assert night.outcomes["quotes", "done"] == 1
