from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import screener
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
US: dict[str, Any] = {"operator": "eq", "operands": ["region", "us"]}


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.bundled(), calendar=calendar, seed=1, now=NOON)


def page(practice: Market, **body: Any) -> dict[str, Any]:
    status, document = screener.page(practice, json.dumps({"quoteType": "EQUITY", "query": US} | body).encode())
    assert status == 200, document
    (result,) = document["finance"]["result"]
    return dict(result)


def test_pages_hold_every_share_once_in_order() -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    practice = Market(listings.bundled()[:1_000], calendar=calendar, seed=1, now=NOON)
    seen: list[str] = []
    for offset in range(0, 1_000, 100):
        rows = page(practice, offset=offset, size=100, sortField="ticker", sortType="ASC")["quotes"]
        seen += [row["symbol"] for row in rows]

    shares = [name for name, stock in practice.stocks.items() if stock.listing.kind not in ("ETF", "Crypto")]
    assert seen == sorted(shares)
    assert page(practice)["total"] == len(shares) == len(seen) > 500


def test_funds_are_asked_for_by_their_type(practice: Market) -> None:
    result = page(practice, quoteType="ETF", size=3)

    assert result["total"] == sum(stock.listing.kind == "ETF" for stock in practice.stocks.values())
    assert {row["quoteType"] for row in result["quotes"]} == {"ETF"}


def test_a_page_behind_the_end_is_empty(practice: Market) -> None:
    result = page(practice, offset=100_000)

    assert (result["quotes"], result["count"]) == ([], 0)


@pytest.mark.parametrize(
    ("operator", "operands", "holds"),
    [
        ("gt", ["percentchange", 3], lambda row: row["regularMarketChangePercent"] > 3),
        ("lte", ["intradayprice", 5], lambda row: row["regularMarketPrice"] <= 5),
        ("btwn", ["intradaymarketcap", 1e10, 1e11], lambda row: 1e10 <= row["marketCap"] <= 1e11),
        ("is-in", ["exchange", "NMS", "NYQ"], lambda row: row["exchange"] in ("NMS", "NYQ")),
        ("lt", ["peratio.lasttwelvemonths", 10], lambda row: row["trailingPE"] < 10),
    ],
)
def test_each_row_meets_the_condition(practice: Market, operator: str, operands: list[Any], holds: Any) -> None:
    result = page(practice, query={"operator": operator, "operands": operands}, size=100)

    assert 0 < result["total"] < 7_000
    assert all(holds(row) for row in result["quotes"])


def test_conditions_are_joined_by_and_and_or(practice: Market) -> None:
    dear = {"operator": "gt", "operands": ["intradayprice", 500]}
    cheap = {"operator": "lt", "operands": ["intradayprice", 1]}
    either = page(practice, query={"operator": "or", "operands": [dear, cheap]})["total"]

    assert page(practice, query={"operator": "and", "operands": [dear, cheap]})["total"] == 0
    assert either == sum(
        stock.price > 500 or stock.price < 1
        for stock in practice.stocks.values()
        if stock.listing.kind not in ("ETF", "Crypto")
    )


def test_rows_are_sorted_and_those_without_the_field_come_last(practice: Market) -> None:
    rows = page(practice, sortField="dayvolume", sortType="DESC", size=50)["quotes"]
    volumes = [row["regularMarketVolume"] for row in rows]
    assert volumes == sorted(volumes, reverse=True)

    total = page(practice)["total"]
    tail = page(practice, sortField="forward_dividend_yield", sortType="ASC", offset=total - 5, size=5)["quotes"]
    assert not any("dividendYield" in row for row in tail)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"query": "all"}',
        b'{"query": {"operator": "and", "operands": []}}',
        b'{"query": {"operator": "like", "operands": ["ticker", "A"]}}',
        b'{"query": {"operator": "gt", "operands": ["percentchange"]}}',
        b'{"query": {"operator": "gt", "operands": ["ticker", 5]}}',
        b'{"size": 251, "query": {}}',
        b'{"offset": -1, "query": {}}',
        b'{"offset": "x", "query": {}}',
    ],
)
def test_a_body_that_is_no_query_is_a_bad_request(practice: Market, body: bytes) -> None:
    status, document = screener.page(practice, body)

    assert (status, document["finance"]["result"]) == (400, None)
    assert document["finance"]["error"]["code"] == "Bad Request"


def test_a_predefined_screen_pages_by_start(practice: Market) -> None:
    query = {"scrIds": "most_actives", "count": "10"}
    (first,) = screener.predefined(practice, query)[1]["finance"]["result"]
    (second,) = screener.predefined(practice, {**query, "start": "10"})[1]["finance"]["result"]

    assert (first["canonicalName"], first["count"], second["start"]) == ("MOST_ACTIVES", 10, 10)
    volumes = [row["regularMarketVolume"] for row in (*first["quotes"], *second["quotes"])]
    assert volumes == sorted(volumes, reverse=True)
    assert json.loads(first["rawCriteria"])["sortField"] == "dayvolume"


def test_a_screen_that_there_is_not_is_not_found(practice: Market) -> None:
    for name in ("", "no_such_screen"):
        assert screener.predefined(practice, {"scrIds": name})[0] == 404


def test_a_query_nested_without_end_is_refused(practice: Market) -> None:
    deep = b'{"query":' + b'{"operator":"and","operands":[' * 5_000 + b"{}" + b"]}" * 5_000 + b"}"

    assert screener.page(practice, deep)[0] == 400
    assert screener.page(practice, b"[" * 100_000)[0] == 400


def test_a_start_of_thousands_of_digits_is_behind_the_last_page(practice: Market) -> None:
    status, document = screener.predefined(practice, {"scrIds": "most_actives", "start": "9" * 5_000})

    assert (status, document["finance"]["result"][0]["quotes"]) == (200, [])


def test_a_ticker_that_the_lists_leave_out_is_on_no_page(practice: Market) -> None:
    query = {"operator": "eq", "operands": ["ticker", "MSFT"]}
    assert page(practice, query=query)["total"] == 1
    practice.unlist("MSFT")
    assert page(practice, query=query)["total"] == 0
    practice.relist("MSFT")
    assert page(practice, query=query)["total"] == 1
