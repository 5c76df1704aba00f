"""Keys, types and refusals of recorded answers are in test_contract.py; here is what the numbers must be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import quotes, summary
from simulator.answers.history import dividends
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
INFO = "financialData,quoteType,defaultKeyStatistics,assetProfile,summaryDetail,calendarEvents,price"


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.bundled(), calendar=calendar, seed=1, now=NOON)


def modules(practice: Market, symbol: str, names: str = INFO) -> dict[str, Any]:
    status, document = summary.answer(practice, symbol, {"modules": names})
    assert status == 200, document
    (found,) = document["quoteSummary"]["result"]
    return dict(found)


def test_the_day_is_the_quote_s_in_every_module(practice: Market) -> None:
    for symbol in list(practice.stocks)[::200]:
        quote = quotes.answer(practice, symbol)
        assert quote is not None
        found = modules(practice, symbol, "summaryDetail,price")
        detail, price = found["summaryDetail"], found["price"]
        day = [quote[f"regularMarket{name}"] for name in ("Open", "DayLow", "DayHigh", "PreviousClose", "Volume")]
        assert [detail[key] for key in ("open", "dayLow", "dayHigh", "previousClose", "volume")] == day, symbol
        assert price["regularMarketPrice"] == quote["regularMarketPrice"]
        if quote["quoteType"] == "EQUITY":  # an ETF's has none
            assert detail.get("marketCap") == quote.get("marketCap")
        assert detail.get("trailingPE") == quote.get("trailingPE")
        assert None not in (detail["fiftyTwoWeekLow"], detail["averageVolume"])


def test_units_are_this_endpoint_s(practice: Market) -> None:
    quote = quotes.answer(practice, "AAPL")
    assert quote is not None
    found = modules(practice, "AAPL")
    price = quote["regularMarketPrice"]

    # v7: 0.35 percent and lots; here 0.0035 and shares. AAPL pays 1.08 USD a year (recorded 2026-10-03).
    assert found["summaryDetail"]["dividendYield"] == round(1.08 / price, 4)
    assert quote["dividendYield"] == round(108 / price, 2)
    assert found["summaryDetail"]["bidSize"] == 100 * quote["bidSize"]
    assert found["price"]["regularMarketChangePercent"] == pytest.approx(quote["regularMarketChangePercent"] / 100)


def test_dates_of_dividends_and_splits_are_the_chart_s(practice: Market) -> None:
    stock = practice.stocks["AAPL"]
    last = dividends(practice, stock)[-1]
    found = modules(practice, "AAPL")

    day = last.at_s - last.at_s % 86_400
    assert found["summaryDetail"]["exDividendDate"] == found["calendarEvents"]["exDividendDate"] == day
    assert found["defaultKeyStatistics"]["lastDividendValue"] == last.amount_usd


def test_who_pays_nothing_has_no_keys_of_dividends(practice: Market) -> None:
    detail = modules(practice, "AMZN")["summaryDetail"]

    assert not detail.keys() & {"dividendRate", "dividendYield", "exDividendDate"}


def test_a_company_has_its_sector_in_yahoo_s_words(practice: Market) -> None:
    profile = modules(practice, "ABBV")["assetProfile"]

    # The exchange's list says Health Care.
    assert (profile["sector"], profile["sectorKey"], profile["sectorDisp"]) == (
        "Healthcare",
        "healthcare",
        "Healthcare",
    )


@pytest.mark.parametrize(("kind", "absent"), [("Warrant", "financialData"), ("Preferred", "calendarEvents")])
def test_what_is_no_company_has_few_modules(practice: Market, kind: str, absent: str) -> None:
    symbol = next(name for name, stock in practice.stocks.items() if stock.listing.kind == kind)

    assert summary.answer(practice, symbol, {"modules": absent}) == (
        404,
        {
            "quoteSummary": {
                "result": None,
                "error": {
                    "code": "Not Found",
                    "description": f"No fundamentals data found for any of the summaryTypes={absent}",
                },
            }
        },
    )
    assert set(modules(practice, symbol)) == {"quoteType", "summaryDetail", "price"}


def test_unknown_modules_are_passed_over_beside_known_ones(practice: Market) -> None:
    assert set(modules(practice, "AAPL", "nonsense,price,,price")) == {"price"}
    assert summary.answer(practice, "AAPL", {"modules": "nonsense"})[0] == 404
    assert summary.answer(practice, "AAPL", {})[0] == 400


def test_every_listing_is_answered(practice: Market) -> None:
    for symbol in list(practice.stocks)[::37]:
        found = modules(practice, symbol)
        assert {"quoteType", "summaryDetail", "price"} <= found.keys()


def test_a_ticker_delisted_by_script_is_known_and_has_no_data() -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    gone = Market(listings.chosen(["AAPL", "F"]), calendar=calendar, seed=1, now=NOON)
    gone.delist("F")
    status, document = summary.answer(gone, "F", {"modules": "price"})

    assert status == 404
    assert document["quoteSummary"]["error"]["description"].endswith("any of the summaryTypes=price")


def test_a_warrant_has_no_dividend_of_the_recorded_share(practice: Market) -> None:
    symbol = next(name for name, stock in practice.stocks.items() if stock.listing.kind == "Warrant")
    _, document = summary.answer(practice, symbol, {"modules": "summaryDetail"})
    (modules,) = document["quoteSummary"]["result"]

    assert not modules["summaryDetail"].keys() & {"trailingAnnualDividendRate", "trailingAnnualDividendYield"}
