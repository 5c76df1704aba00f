from __future__ import annotations

import json
from typing import Any

import pytest

from scanners.daily.charts import Charts
from scanners.daily.quotes import Quotes
from tests.fix_daily import CHART, a_night, after_close
from tests.fix_scanners import NOON, Stage

DAY_S = 86_400
OPEN_S = int(NOON.timestamp()) - 9_000
"""Monday, 9:30 in New York."""


def chart(closes: list[float | None], *, symbol: str = "AAPL", times: bool = True, adjusted: bool = True) -> str:
    """Return a chart whose newest day is Monday."""
    at_s = [OPEN_S - DAY_S * back for back in range(len(closes))][::-1]
    columns: dict[str, Any] = {name: closes for name in ("open", "high", "low", "close")}
    columns["volume"] = [None if close is None else 100 for close in closes]
    indicators: dict[str, Any] = {"quote": [columns]}
    if adjusted:
        indicators["adjclose"] = [{"adjclose": closes}]
    meta = {"symbol": symbol, "currency": "USD", "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d"}
    result = {"meta": meta, "timestamp": at_s if times else [None] * len(closes), "indicators": indicators}
    return json.dumps({"chart": {"result": [result], "error": None}})


async def outcome(stage: Stage, body: str, *, status: int = 200) -> str:
    """Return what AAPL's chart came to, while those of others are answered."""
    stage.market.fault("answer", path=CHART + "AAPL", status=status, body=body, type="application/json")
    async with a_night(stage, after_close(stage, speed=50.0, daily={"threads": 1})) as night:
        await Quotes(night).run(["AAPL", "MSFT"])
        await night.look()
        price = stage.market.market.stocks["AAPL"].price
        assert night.standings["AAPL"].current_price == price
        await Charts(night).run(["AAPL", "MSFT"])
    rows = {row["ticker"]: row["chart"] for row in stage.rows("SELECT ticker, chart FROM daily_progress")}
    assert rows["MSFT"] == "first"
    return str(rows["AAPL"])


def closes(stage: Stage) -> list[float]:
    held = stage.rows("SELECT close FROM stocks_daily_bar WHERE ticker = 'AAPL' ORDER BY session_date")
    return [row["close"] for row in held]


async def test_the_history_of_a_new_ticker_is_loaded_by_one_request(still_stage: Stage) -> None:
    async with a_night(still_stage) as night:
        await Quotes(night).run(["AAPL"])
        await night.look()
        await Charts(night).run(["AAPL"])
        assert night.outcomes["charts", "first"] == 1
        assert (await night.look()).charts == ()
    assert len(still_stage.market.requests(path=CHART + "*")) == 1
    ((count, newest),) = [
        tuple(row.values()) for row in still_stage.rows("SELECT count(*), max(session_date) FROM stocks_daily_bar")
    ]
    assert count >= still_stage.settings.daily.history_days
    assert newest == "2026-11-23"


async def test_days_without_numbers_are_left_out_and_the_others_kept(still_stage: Stage) -> None:
    price = still_stage.market.market.stocks["AAPL"].price
    assert await outcome(still_stage, chart([price, None, price])) == "first"
    assert len(closes(still_stage)) == 2


async def test_adjusted_closes_may_be_missing(still_stage: Stage) -> None:
    price = still_stage.market.market.stocks["AAPL"].price
    assert await outcome(still_stage, chart([price, price], adjusted=False)) == "first"
    held = still_stage.rows("SELECT adj_close FROM stocks_daily_bar WHERE ticker = 'AAPL'")
    assert [row["adj_close"] for row in held] == [None, None]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (
            json.dumps({"chart": {"result": [{"meta": {"symbol": "AAPL"}, "indicators": {"quote": [{}]}}]}}),
            200,
            "no_quotes",
        ),
        (chart([1.0], symbol="MSFT"), 200, "foreign"),
        ("<html></html>", 200, "bad_answer"),
        (json.dumps({"chart": {"error": {"description": "No data found, symbol may be delisted"}}}), 404, "delisted"),
        (json.dumps({"chart": {"error": {"description": "Data doesn't exist for startDate = 1"}}}), 400, "no_data"),
    ],
)
async def test_a_chart_that_tells_nothing_is_named(still_stage: Stage, body: str, status: int, named: str) -> None:
    assert await outcome(still_stage, body, status=status) == named
    assert len(closes(still_stage)) == 1, "the session's bar is the quote's"


async def test_a_chart_in_cents_is_not_believed(still_stage: Stage) -> None:
    price = still_stage.market.market.stocks["AAPL"].price
    assert await outcome(still_stage, chart([100 * price, 100 * price])) == "unsound"
    assert closes(still_stage) == [still_stage.market.market.stocks["AAPL"].price]
    assert still_stage.rows("SELECT endpoint, rule FROM quality_refusal") == [
        {"endpoint": "chart", "rule": "hundredfold"}
    ]


async def test_timestamps_may_be_null(still_stage: Stage) -> None:
    price = still_stage.market.market.stocks["AAPL"].price
    found = await outcome(still_stage, chart([price, price], times=False))
    assert found != "bad_answer"
    assert len(closes(still_stage)) == 1
