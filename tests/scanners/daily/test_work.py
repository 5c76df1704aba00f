from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.errors import EXIT_DONE, EXIT_TRY_LATER, FixByHand
from market.quotes import Quote
from market.sessions import Session
from scanners.context import Context, run_scanner
from scanners.daily import work as daily_work
from scanners.daily.work import bar_of, work
from storage.daily_bars import DailyBar
from tests.fix_scanners import MONDAY, NOON, ShiftedClock, Stage, Supervisor

QUOTE = "/v7/finance/quote"
AFTER_CLOSE = NOON + timedelta(hours=4, minutes=31)
"""16:31 in New York."""


def a_quote(at: datetime | None = MONDAY.closes_at, **more: Any) -> Quote:
    numbers: dict[str, Any] = {
        "open_price": 10.0,
        "days_high": 12.0,
        "days_low": 9.0,
        "current_price": 11.0,
        "volume": 500,
    }
    return Quote(ticker="A", price_time=at, **(numbers | more))


def test_the_bar_of_a_session_is_the_quote_after_its_close() -> None:
    assert bar_of(a_quote(), MONDAY) == DailyBar(
        ticker="A",
        session_date=MONDAY.session_date,
        open=10.0,
        high=12.0,
        low=9.0,
        close=11.0,
        adj_close=None,
        volume=500,
        source="quote",
    )


@pytest.mark.parametrize(
    "quote",
    [
        a_quote(MONDAY.opens_at - timedelta(days=3)),
        a_quote(MONDAY.closes_at + timedelta(hours=17)),  # the next morning's first trades
        a_quote(MONDAY.closes_at + timedelta(minutes=15, seconds=1)),
        a_quote(None),
        a_quote(volume=0),
        a_quote(volume=None),
        a_quote(open_price=None),
        a_quote(days_high=None),
        a_quote(days_low=None),
        a_quote(current_price=None),
    ],
)
def test_a_ticker_that_did_not_trade_in_the_session_gets_no_bar(quote: Quote) -> None:
    assert bar_of(quote, MONDAY) is None


def test_the_closing_auctions_late_print_belongs_to_the_session() -> None:
    assert bar_of(a_quote(MONDAY.closes_at + timedelta(minutes=14)), MONDAY) is not None


def test_a_session_of_minutes_gets_bars_under_its_own_label() -> None:
    """The sessions of a calendar file may be labelled with other dates than the real one."""
    label = datetime(2026, 12, 24).date()
    session = Session(session_date=label, opens_at=NOON, closes_at=NOON + timedelta(minutes=3))
    bar = bar_of(a_quote(NOON + timedelta(minutes=1)), session)
    assert bar is not None
    assert bar.session_date == label


def after_close(stage: Stage, *, speed: float = 1.0, **sections: Any) -> Context:
    """Surroundings at 16:31 of a Monday on which every ticker but SOHO traded."""
    stage.market.server.advance(NOON + timedelta(seconds=1))
    stage.market.market.stocks["SOHO"].trade_time_s = int((NOON - timedelta(days=4)).timestamp())
    stage.market.server.advance(AFTER_CLOSE)
    return stage.context("daily", clock=ShiftedClock(AFTER_CLOSE, speed=speed), **sections)


async def test_all_fields_and_the_bars_of_the_session_are_written(still_stage: Stage) -> None:
    assert await run_scanner(after_close(still_stage), work) == EXIT_DONE
    assert len(still_stage.stocks("daily_updated_at IS NOT NULL")) == 8
    bars = {bar["ticker"]: bar for bar in still_stage.rows("SELECT * FROM stocks_daily_bar")}
    assert bars.keys() == set(still_stage.tickers) - {"SOHO"}
    true = still_stage.market.market.stocks["AAPL"]
    bar = bars["AAPL"]
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (true.open, true.high, true.low, true.price)
    assert (bar["volume"], bar["session_date"], bar["source"]) == (true.volume, "2026-11-23", "quote")
    (run,) = still_stage.runs("daily")
    assert (run["status"], run["session"], run["updated"]) == ("complete", "2026-11-23", 8)
    assert (run["detail"]["bars"], run["detail"]["bars_refused"]) == (7, 0)


async def test_the_second_start_of_a_session_finds_it_done_without_asking_anything(
    still_stage: Stage, supervisor: Supervisor
) -> None:
    context = after_close(still_stage)
    assert await run_scanner(context, work) == EXIT_DONE
    still_stage.market.faults.refuse_connections = True
    again = Context.build("daily", still_stage.settings, context.stop, supervisor.notifier(), clock=context.clock)
    assert await run_scanner(again, work) == EXIT_DONE
    assert supervisor.values("STATUS") == ["not due: 2026-11-23 is done"]
    assert len(still_stage.runs("daily")) == 1


async def test_before_the_hour_the_session_before_is_refreshed(still_stage: Stage) -> None:
    context = still_stage.context("daily", clock=ShiftedClock(NOON))
    assert await run_scanner(context, work) == EXIT_DONE
    assert [run["session"] for run in still_stage.runs("daily")] == ["2026-11-20"]
    assert still_stage.rows("SELECT * FROM stocks_daily_bar") == []
    assert still_stage.runs("daily")[0]["detail"]["bars"] == 0  # asked at noon, the quotes speak of Monday


async def test_before_the_first_session_nothing_is_due(still_stage: Stage, supervisor: Supervisor) -> None:
    listed = still_stage.folder / "sessions.csv"
    listed.write_text("session,open_utc,close_utc,reason\n2026-11-24,2026-11-24T14:30:00Z,2026-11-24T21:00:00Z,\n")
    context = still_stage.context("daily", market={"calendar": f"file:{listed}"})
    still_stage.market.faults.refuse_connections = True
    assert await run_scanner(context, work) == EXIT_DONE
    assert still_stage.runs("daily") == []


async def test_a_pass_that_stays_partial_is_tried_later_and_completed_by_the_next_start(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_work, "LONGEST_S", 5.0)
    still_stage.market.server.answer_status(QUOTE, 429, times=1)
    first = after_close(still_stage, speed=50)
    assert await run_scanner(first, work) == EXIT_TRY_LATER
    monkeypatch.undo()
    assert await run_scanner(still_stage.context("daily", clock=first.clock), work) == EXIT_DONE
    assert [run["status"] for run in still_stage.runs("daily")] == ["failed", "complete"]


async def test_practice_quotes_are_never_written_into_live_data(still_stage: Stage) -> None:
    with still_stage.writer("live") as writer:
        writer.run(lambda tx: tx.wrote(0), source="test")
    with pytest.raises(FixByHand, match="holds live data"):
        await run_scanner(after_close(still_stage), work)
    assert still_stage.rows("SELECT * FROM stocks_daily_bar") == []
