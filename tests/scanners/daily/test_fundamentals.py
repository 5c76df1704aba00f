from __future__ import annotations

import json
from typing import Any

import pytest

from scanners.daily.fundamentals import Fundamentals
from scanners.daily.quotes import Quotes
from tests.fix_daily import SUMMARY, a_night, after_close
from tests.fix_scanners import Stage

HTML = "<!DOCTYPE html><html><body>Sorry</body></html>"


def said(code: str, description: str) -> str:
    return json.dumps({"quoteSummary": {"result": None, "error": {"code": code, "description": description}}})


async def outcomes(stage: Stage, *tickers: str, **sections: Any) -> dict[str, str]:
    """Ask for quotes and fundamentals; return what each ticker's came to."""
    async with a_night(stage, after_close(stage, speed=500.0, **sections)) as night:
        await Quotes(night).run(tickers)
        await night.look()
        await Fundamentals(night).run(tickers)
    rows = stage.rows("SELECT ticker, fundamentals FROM daily_progress")
    return {row["ticker"]: row["fundamentals"] for row in rows}


async def test_every_ticker_is_asked_for_once_and_its_facts_are_written(still_stage: Stage) -> None:
    assert await outcomes(still_stage, "AAPL", "QQQ", "SOHO") == {"AAPL": "done", "QQQ": "done", "SOHO": "done"}
    asked = [each.path for each in still_stage.market.requests(path=SUMMARY + "*")]
    assert sorted(asked) == [SUMMARY + name for name in ("AAPL", "QQQ", "SOHO")]
    apple = still_stage.stocks()["AAPL"]
    assert apple["employees"] > 0
    assert apple["daily_updated_at"] is not None


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (404, said("Not Found", "Quote not found for symbol: AAPL"), "not_found"),
        (404, said("Not Found", "No fundamentals data found for any of the summaryTypes=x"), "no_fundamentals"),
        (200, '{"quoteSummary": {"result": [{}], "error": null}}', "empty"),
        (200, '{"quoteSummary": {"result": [], "error": null}}', "empty"),
    ],
)
async def test_what_yahoo_does_not_know_is_named_and_asked_for_once(
    still_stage: Stage, status: int, body: str, outcome: str
) -> None:
    number = still_stage.market.fault(
        "answer", path=SUMMARY + "AAPL", status=status, body=body, type="application/json"
    )
    assert await outcomes(still_stage, "AAPL", "MSFT") == {"AAPL": outcome, "MSFT": "done"}
    assert [each["hits"] for each in still_stage.market.faults_on() if each["number"] == number] == [1]


@pytest.mark.parametrize(
    ("fault", "values", "outcome"),
    [
        ("html", {}, "bad_answer"),
        ("truncate", {"at_bytes": 50}, "bad_answer"),
        ("wrong_ticker", {}, "foreign"),
        ("unauthorized", {}, "bad_answer"),
        ("server_error", {}, "bad_answer"),
        ("cut", {"at_bytes": 50}, "bad_answer"),
    ],
)
async def test_an_answer_that_is_none_is_tried_three_times_and_the_run_goes_on(
    still_stage: Stage, fault: str, values: dict[str, Any], outcome: str
) -> None:
    still_stage.market.fault(fault, path=SUMMARY + "AAPL", **values)
    found = await outcomes(still_stage, "AAPL", "MSFT", "F", daily={"threads": 1})
    assert found == {"AAPL": outcome, "MSFT": "done", "F": "done"}
    assert len(still_stage.market.requests(path=SUMMARY + "AAPL")) >= 3


async def test_a_mishap_is_mended_by_asking_again(still_stage: Stage) -> None:
    still_stage.market.fault("html", path=SUMMARY + "*", times=2)
    assert await outcomes(still_stage, "AAPL", "MSFT") == {"AAPL": "done", "MSFT": "done"}


async def test_a_dividend_that_the_bars_do_not_know_asks_for_the_chart(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        await Quotes(night).run(["AAPL", "MSFT"])
        mark = "UPDATE daily_progress SET chart_need = NULL, bars_through = '2026-11-23'"
        with still_stage.writer() as writer:
            writer.run(lambda tx: tx.connection.exec_driver_sql(mark), source="test")
        await night.look()
        still_stage.market.event("pay_dividend", "AAPL", amount_usd=0.25)
        body = {"summaryDetail": {"exDividendDate": 1795392000}, "price": {"symbol": "AAPL"}}  # 2026-11-23
        text = json.dumps({"quoteSummary": {"result": [body], "error": None}})
        still_stage.market.fault("answer", path=SUMMARY + "AAPL", body=text, type="application/json")
        await Fundamentals(night).run(["AAPL", "MSFT"])
    rows = still_stage.rows("SELECT chart_need FROM daily_progress ORDER BY ticker")
    assert [row["chart_need"] for row in rows] == ["dividend", None]


async def test_a_dividend_that_is_told_days_late_asks_for_the_chart_all_the_same(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        await Quotes(night).run(["AAPL"])
        mark = "UPDATE daily_progress SET chart_need = NULL, bars_through = '2026-11-23'"
        known = "UPDATE stocks_stock SET ex_dividend_date = '2026-08-17'"
        with still_stage.writer() as writer:
            for statement in (mark, known):
                writer.run(lambda tx, text=statement: tx.connection.exec_driver_sql(text), source="test")  # type: ignore[misc]
        body = {"summaryDetail": {"exDividendDate": 1795046400}, "price": {"symbol": "AAPL"}}  # 2026-11-19
        text = json.dumps({"quoteSummary": {"result": [body], "error": None}})
        still_stage.market.fault("answer", path=SUMMARY + "AAPL", body=text, type="application/json")
        for need in ("dividend", None):
            await night.look()
            await Fundamentals(night).run(["AAPL"])
            assert still_stage.rows("SELECT chart_need FROM daily_progress") == [{"chart_need": need}]
            with still_stage.writer() as writer:
                writer.run(lambda tx: tx.connection.exec_driver_sql(mark), source="test")
