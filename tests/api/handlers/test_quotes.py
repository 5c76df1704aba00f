from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from core.clock import SystemClock
from storage.schema import stocks_daily_bar, stocks_stock
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of

AT = datetime(2026, 11, 23, 15, 0, 0, tzinfo=UTC)
STOCKS = [
    ("AMD", "Advanced Micro Devices", "Technology", 150.5, 3, 100, True),
    ("BP", "BP plc", "Energy", 30.25, -1, 300, True),
    ("CVX", "Chevron", "Energy", 140.0, 2, None, True),
    ("OLD", "Old Corp", None, None, None, None, False),
]


@pytest.fixture(scope="module")
def market(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server with four tickers more and some bars; nobody signs in."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("quotes"))
    names = ("ticker", "company_name", "sector", "current_price", "price_change_percent", "volume", "is_listed")
    times = {"price_updated_at": AT, "last_updated": AT}
    rows = [dict(zip(names, stock, strict=True)) | times for stock in STOCKS]
    sides = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    bars = [{"ticker": "AMD", "session_date": date(2026, 11, day), "source": "quote", **sides} for day in (18, 19, 20)]

    def body(tx: Any) -> None:
        tx.connection.execute(insert(stocks_stock), [row | {"change_seq": tx.seq} for row in rows])
        tx.connection.execute(insert(stocks_daily_bar), bars)
        tx.wrote(len(rows))

    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        writer.run(body, source="prices")
    with served(settings_of(folder, auth=False, requests_per_s=1000, burst=10_000), folder) as found:
        while found.ask("GET", "/readyz").status != 200:
            pass
        yield found


def got(market: RunningApi, query: str) -> Any:
    answer = market.ask("GET", f"/api/v1/quotes{query}")
    assert answer.status == 200, answer.body
    return answer.json


def tickers(page: Any) -> list[str]:
    return [row["ticker"] for row in page["data"]]


def test_a_page_of_quotes_is_json_with_the_cursor_of_the_next(market: RunningApi) -> None:
    first = got(market, "?limit=4")
    assert tickers(first) == ["AAPL", "AMD", "BP", "BRK-B"]
    amd = first["data"][1]
    assert (amd["current_price"], amd["volume"], amd["price_updated_at"]) == (150.5, 100, "2026-11-23T15:00:00.000Z")
    second = got(market, f"?limit=4&cursor={first['next']}")
    assert (tickers(second), second["next"]) == (["CVX", "MSFT", "OLD"], None)


def test_chosen_tickers_come_in_the_order_asked_and_the_unknown_are_named(market: RunningApi) -> None:
    page = got(market, "?tickers=msft,BRK.B,NONE,AMD")
    assert (tickers(page), page["unknown"]) == (["MSFT", "BRK-B", "AMD"], ["NONE"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=-volume", ["BP", "AMD"]),
        ("sort=price_change_percent", ["BP", "CVX", "AMD"]),
        ("sector=Energy", ["BP", "CVX"]),
        ("search=chev", ["CVX"]),
        ("search=%25", []),
        ("search=b", ["BP", "BRK-B"]),
        ("tickers=BP,AMD&fields=volume", ["AMD", "BP"]),
    ],
)
def test_lists_are_sorted_and_filtered(market: RunningApi, query: str, found: list[str]) -> None:
    assert tickers(got(market, f"?{query}")) == found


def test_fields_are_chosen(market: RunningApi) -> None:
    assert got(market, "?fields=volume&tickers=BP&format=columnar")["columns"] == {"ticker": ["BP"], "volume": [300]}
    (whole,) = got(market, "?fields=*&tickers=BP")["data"]
    assert set(whole) == {*stocks_stock.columns.keys()} - {"id"}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "other=1",
        "sort=volume;drop",
        "sort=nothing",
        "sort=id",
        "fields=ticker,nothing",
        "fields=(select%201)",
        "cursor=xyz",
        "format=xml",
        "tickers=1",
        "tickers=" + ",".join(["A"] * 1001),
        "search=%00",
    ],
)
def test_a_wrong_question_is_a_problem(market: RunningApi, query: str) -> None:
    answer = market.ask("GET", f"/api/v1/quotes?{query}")
    assert answer.status == 422 and answer.headers["content-type"] == "application/problem+json"


def test_csv_has_its_cursor_in_a_header(market: RunningApi) -> None:
    answer = market.ask("GET", "/api/v1/quotes?format=csv&fields=volume&limit=2")
    assert answer.body.decode() == "ticker,volume\nAAPL,\nAMD,100\n"
    assert answer.headers["x-next-cursor"]


@pytest.mark.parametrize("query", ["", "?fields=volume"])
def test_who_has_the_newest_gets_304(market: RunningApi, query: str) -> None:
    first = market.ask("GET", f"/api/v1/quotes{query}")
    again = market.ask("GET", f"/api/v1/quotes{query}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_one_ticker_has_every_column_and_the_age_of_each_group(market: RunningApi) -> None:
    found = market.ask("GET", "/api/v1/quotes/amd").json
    assert (found["ticker"], found["sector"], found["metrics_age_s"]) == ("AMD", "Technology", None)
    age_s = (SystemClock().utc_now() - AT).total_seconds()
    assert found["price_age_s"] == pytest.approx(age_s, abs=60) and "id" not in found
    assert market.ask("GET", "/api/v1/quotes/NONE").status == 404


def test_daily_bars_come_the_newest_first(market: RunningApi) -> None:
    bars = market.ask("GET", "/api/v1/quotes/AMD/history?since=2026-11-19&limit=1").json
    assert [bar["session_date"] for bar in bars["data"]] == ["2026-11-20"]
    rest = market.ask("GET", f"/api/v1/quotes/AMD/history?since=2026-11-19&cursor={bars['next']}").json
    assert ([bar["session_date"] for bar in rest["data"]], rest["next"]) == (["2026-11-19"], None)


@pytest.mark.parametrize("path", ["/api/v1/universe", "/api/scan/universe"])
def test_the_universe_is_listed_with_how_many_there_are(market: RunningApi, path: str) -> None:
    page = market.ask("GET", f"{path}?listed=false").json
    assert (tickers(page), page["total"], page["listed"]) == (["OLD"], 7, 6)
