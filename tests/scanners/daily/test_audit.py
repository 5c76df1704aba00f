from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.clock import SystemClock
from core.errors import RetryLater
from core.tasks import spawn
from market.fundamentals import Decoded, Fundamentals, Witness
from market.quotes import Quote
from market.sessions import Session
from net.client import HttpClient
from scanners.context import Context
from scanners.daily.asker import Asker
from scanners.daily.audit import audit, show_newest
from scanners.lane import DirectLane, Stopped
from storage.daily_bars import DailyBar, write_daily_bars
from storage.profiles import write_fundamentals
from storage.quotes import write_quotes
from storage.writer import Writer
from tests.fix_scanners import MONDAY, NOON, ShiftedClock, Stage

EVENING = NOON + timedelta(hours=6)


CHART = "/v8/finance/chart/"


def asked(stage: Stage) -> list[str]:
    """Return whose charts the market was asked for."""
    return [each.path.removeprefix(CHART) for each in stage.market.requests() if each.path.startswith(CHART)]


def evening(stage: Stage, *, witnessed: bool = True) -> Context:
    """A table that holds the truth of Monday, and what a second endpoint said of it."""
    for step in (timedelta(seconds=1), timedelta(hours=1), timedelta(hours=6)):
        stage.market.server.advance(NOON + step)
    stage.clock = ShiftedClock(EVENING, speed=10.0)
    with stage.writer() as writer:
        for ticker in stage.tickers:
            _fill(writer, stage, ticker, witnessed=witnessed)
    return stage.context("daily")


def _fill(writer: Writer, stage: Stage, ticker: str, *, witnessed: bool) -> None:
    true = stage.market.market.stocks[ticker]
    at = MONDAY.closes_at
    quote = Quote(
        ticker=ticker,
        current_price=true.price,
        price_time=at,
        open_price=true.open,
        days_high=true.high,
        days_low=true.low,
        volume=true.volume,
    )
    write_quotes(
        writer,
        [quote],
        at=EVENING,
        session_opens_at=MONDAY.opens_at,
        session_closes_at=MONDAY.closes_at,
    )
    bar = DailyBar(
        ticker=ticker,
        session_date=MONDAY.session_date,
        open=true.open,
        high=true.high,
        low=true.low,
        close=true.price,
        adj_close=None,
        volume=true.volume,
        source="quote",
    )
    write_daily_bars(writer, [bar])
    if witnessed:
        told = Witness(
            price=true.price, price_time=at, open=true.open, high=true.high, low=true.low, volume=true.volume
        )
        answer = Decoded(fundamentals=Fundamentals(ticker=ticker), witness=told)
        write_fundamentals(writer, [answer], at=EVENING, session_date=MONDAY.session_date, drop_after_days=30)


def spoil(stage: Stage, statement: str) -> None:
    with closing(sqlite3.connect(stage.file)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


async def run(stage: Stage, context: Context, session: Session = MONDAY) -> dict[str, Any]:
    trust, proxy = context.trust.ca_path, context.settings.network.proxy
    async with HttpClient(ca_path=trust, proxy=proxy) as http:
        with stage.writer() as writer:
            return await audit(context, writer, Asker(context, DirectLane(context, http)), session)


async def test_a_table_that_holds_the_truth_is_exact(still_stage: Stage) -> None:
    context = evening(still_stage)
    counts = await run(still_stage, context)
    assert counts == {"exact": 8, "differs": 0, "not_comparable": 0, "asked": 8, "outliers": 0}
    assert sorted(asked(still_stage)) == sorted(still_stage.tickers)
    (row,) = still_stage.rows("SELECT * FROM truth_audit")
    assert (row["session"], row["sampled"], row["requests"], row["total"]) == ("2026-11-23", 8, 8, 8)
    assert context.pulse.facts["audit"] == {"session": "2026-11-23", "text": "8 of 8 exact"}


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("UPDATE stocks_daily_bar SET close = close + 0.01 WHERE ticker = 'F'", "bar_close"),
        ("UPDATE stocks_daily_bar SET high = high * 100 WHERE ticker = 'F'", "bar_high"),
        ("UPDATE stocks_daily_bar SET volume = volume * 2 + 5000 WHERE ticker = 'F'", "bar_volume"),
        ("UPDATE stocks_stock SET current_price = current_price / 2 WHERE ticker = 'F'", "current_price"),
        ("UPDATE stocks_stock SET days_high = days_high * 1.01 WHERE ticker = 'F'", "days_high"),
        ("UPDATE stocks_stock SET volume = volume * 3 + 5000 WHERE ticker = 'F'", "volume"),
        ("DELETE FROM stocks_daily_bar WHERE ticker = 'F'", "bar_close"),
    ],
)
async def test_a_wrong_number_is_found_whether_or_not_its_ticker_is_in_the_sample(
    still_stage: Stage, statement: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanners.daily.verdicts.sample", lambda tickers, session_date: [])
    context = evening(still_stage)
    spoil(still_stage, statement)
    counts = await run(still_stage, context)
    assert (counts["exact"], counts["differs"], asked(still_stage)) == (7, 1, ["F"])
    found = still_stage.rows("SELECT * FROM truth_finding")
    assert [(each["ticker"], each["field"], each["verdict"]) for each in found] == [("F", field, "differs")]
    assert context.pulse.facts["audit"]["text"].startswith(f"7 of 8 exact; 1 differ: F {field} ")


async def test_without_a_second_endpoint_only_what_was_asked_is_known(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanners.daily.verdicts.sample", lambda tickers, session_date: ["F"])
    counts = await run(still_stage, evening(still_stage, witnessed=False))
    assert counts == {"exact": 1, "differs": 0, "not_comparable": 7, "asked": 1, "outliers": 0}
    reasons = {each["reason"] for each in still_stage.rows("SELECT reason FROM truth_finding WHERE ticker != 'F'")}
    assert reasons == {"no_second_source"}


async def test_of_a_session_that_still_goes_on_nothing_is_compared(still_stage: Stage) -> None:
    """A market without an end is refreshed in the middle of its day: by then the chart tells of later trades."""
    context = evening(still_stage)
    spoil(still_stage, "UPDATE stocks_daily_bar SET close = close + 0.01 WHERE ticker = 'F'")
    counts = await run(still_stage, context, replace(MONDAY, closes_at=EVENING + timedelta(hours=6)))
    assert counts == {"exact": 0, "differs": 0, "not_comparable": 8, "asked": 0, "outliers": 0}
    assert asked(still_stage) == []
    assert context.pulse.facts["audit"]["text"] == "nothing compared; 8 not comparable (8 session still open)"


async def test_a_ticker_whose_chart_is_not_answered_is_judged_by_the_second_endpoint(still_stage: Stage) -> None:
    context = evening(still_stage)
    spoil(still_stage, "UPDATE stocks_daily_bar SET close = close + 0.01 WHERE ticker = 'F'")
    spoil(still_stage, "DELETE FROM truth_witness WHERE ticker = 'MSFT'")
    still_stage.market.fault("html", path=f"{CHART}F")
    counts = await run(still_stage, context)
    assert (counts["exact"], counts["not_comparable"]) == (7, 1)
    (found,) = still_stage.rows("SELECT * FROM truth_finding WHERE verdict != 'exact'")
    assert (found["ticker"], found["reason"]) == ("F", "not_answered")


async def test_an_audit_that_was_stopped_goes_on_where_it_was(still_stage: Stage) -> None:
    evening(still_stage)
    context = still_stage.context("daily", daily={"threads": 1})
    stopping = spawn(stop_after(context, still_stage, charts=3), name="stop", on_error=lambda _error: None)
    with pytest.raises(Stopped):
        await run(still_stage, context)
    await stopping
    before = len(asked(still_stage))
    assert 3 <= before < 8
    counts = await run(still_stage, still_stage.context("daily", daily={"threads": 1}))
    assert counts["exact"] == 8
    assert set(asked(still_stage)) == set(still_stage.tickers)
    assert len(asked(still_stage)) <= 8 + 1  # the one that was under way


async def stop_after(context: Context, stage: Stage, *, charts: int) -> None:
    while len(asked(stage)) < charts:
        await SystemClock().sleep(0.002)
    context.stop.set()


async def test_after_a_restart_the_newest_audit_is_shown(still_stage: Stage) -> None:
    context = evening(still_stage)
    show_newest(context)
    assert "audit" not in context.pulse.facts
    await run(still_stage, context)
    later = still_stage.context("daily")
    show_newest(later)
    assert later.pulse.facts["audit"]["text"] == "8 of 8 exact"


async def test_a_database_that_is_away_ends_the_audit_with_that(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with a group of errors, which would be a fault of the program."""

    def away(*_given: Any) -> None:
        raise RetryLater("is away")

    monkeypatch.setattr("scanners.daily.audit.write_findings", away)
    with pytest.raises(RetryLater, match="is away"):
        await run(still_stage, evening(still_stage))
