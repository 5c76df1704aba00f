from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import search
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.bundled(), calendar=calendar, seed=1, now=NOON)


def found(practice: Market, **query: str) -> dict[str, Any]:
    status, document = search.search(practice, query)
    assert status == 200
    return dict(document)


def symbols(practice: Market, **query: str) -> list[str]:
    return [quote["symbol"] for quote in found(practice, **query)["quotes"]]


def test_the_symbol_itself_comes_first_then_symbols_that_begin_so_then_names(practice: Market) -> None:
    assert symbols(practice, q="f")[0] == "F"
    assert symbols(practice, q="AAP")[:1] != ["F"]
    assert all(name.startswith("AAP") for name in symbols(practice, q="AAP")[:2])
    assert "AAPL" in symbols(practice, q="apple inc")


def test_counts_are_obeyed(practice: Market) -> None:
    document = found(practice, q="bank", quotesCount="2", newsCount="3")

    assert (len(document["quotes"]), len(document["news"]), document["count"]) == (2, 3, 5)


@pytest.mark.parametrize("text", ["", "   ", "no such company", "💥", "'; DROP TABLE"])
def test_what_matches_nothing_finds_nothing(practice: Market, text: str) -> None:
    document = found(practice, q=text)

    assert (document["quotes"], document["news"], document["count"]) == ([], [], 0)


def test_a_share_is_shown_with_its_sector_and_a_fund_without(practice: Market) -> None:
    (share,), (fund,) = (found(practice, q=symbol, quotesCount="1")["quotes"] for symbol in ("ABBV", "QQQ"))

    assert (share["exchDisp"], share["typeDisp"], share["sector"]) == ("NYSE", "Equity", "Healthcare")
    assert (fund["exchDisp"], fund["quoteType"]) == ("NASDAQ", "ETF")
    assert "sector" not in fund


def test_trending_are_the_movers_with_most_money_in_them(practice: Market) -> None:
    status, document = search.trending(practice, {"count": "3"})
    (result,) = document["finance"]["result"]

    assert (status, result["count"], len(result["quotes"])) == (200, 3, 3)
    worst = min(practice.stocks.values(), key=lambda stock: stock.volume)
    assert {"symbol": worst.listing.symbol} not in result["quotes"]


def test_recommendations_name_others_and_nobody_for_the_unknown(practice: Market) -> None:
    status, document = search.recommendations(practice, "AAPL,NO-SUCH,F")

    assert status == 200
    assert [each["symbol"] for each in document["finance"]["result"]] == ["AAPL", "F"]
    assert all(len(each["recommendedSymbols"]) == 5 for each in document["finance"]["result"])
    assert search.recommendations(practice, "NO-SUCH")[0] == 404


def test_a_spark_is_a_chart_of_closes_alone(practice: Market) -> None:
    status, document = search.spark(practice, {"symbols": "AAPL,NO-SUCH"})
    (each,) = document["spark"]["result"]
    (answer,) = each["response"]

    assert (status, each["symbol"], answer["meta"]["symbol"]) == (200, "AAPL", "AAPL")
    assert answer["indicators"]["quote"][0].keys() == {"close"}
    assert len(answer["timestamp"]) == len(answer["indicators"]["quote"][0]["close"]) == 5
    assert search.spark(practice, {})[0] == 404


def test_a_count_of_thousands_of_digits_is_a_large_one(practice: Market) -> None:
    assert len(found(practice, q="a", quotesCount="9" * 5_000)["quotes"]) == 250
