from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers.facts import Facts, made_up
from simulator.world import listings
from simulator.world.walk import Market

WINTER = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
SUMMER = datetime(2026, 7, 6, 17, 0, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def practice(now: datetime = WINTER) -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.bundled()[::10], calendar=calendar, seed=1, now=now)


@pytest.fixture(scope="module")
def companies() -> list[Facts]:
    market = practice()
    return [made_up(stock, market) for stock in market.stocks.values() if stock.listing.kind == "Common"]


@pytest.mark.parametrize(
    ("key", "share"),
    [
        ("trailingPE", 9 / 12),
        ("dividendYield", 6 / 12),
        ("trailingAnnualDividendYield", 11 / 12),
        ("forwardPE", 11 / 12),
        ("earningsTimestampStart", 11 / 12),
        ("averageAnalystRating", 4 / 7),
        ("marketCap", 1.0),
        ("bid", 1.0),
    ],
)
def test_keys_are_there_as_often_as_in_the_recorded_answers(companies: list[Facts], key: str, share: float) -> None:
    assert len(companies) > 500
    assert sum(key in facts for facts in companies) / len(companies) == pytest.approx(share, abs=0.05)


def test_a_loss_leaves_the_price_earnings_ratio_out(companies: list[Facts]) -> None:
    assert all(("trailingPE" in facts) == (facts["epsTrailingTwelveMonths"] > 0) for facts in companies)


def test_a_ticker_s_facts_are_the_same_at_each_start() -> None:
    first, second = practice(), practice()
    symbol = next(iter(first.stocks))

    assert made_up(first.stocks[symbol], first) == made_up(second.stocks[symbol], second)


def test_the_evening_s_keys_are_there_only_when_the_market_is_closed() -> None:
    for now, expected in ((WINTER, False), (SUNDAY, True)):
        market = practice(now)
        stock = next(iter(market.stocks.values()))
        assert ("postMarketPrice" in made_up(stock, market)) is expected


def test_a_warrant_earns_and_pays_nothing() -> None:
    market = practice()
    warrant = next(stock for stock in market.stocks.values() if stock.listing.kind == "Warrant")
    facts = made_up(warrant, market)

    assert facts["quoteType"] == "EQUITY"
    assert not facts.keys() & {"epsTrailingTwelveMonths", "trailingPE", "dividendYield", "marketCap"}


def test_an_etf_has_no_earnings_date() -> None:
    market = practice()
    fund = next(stock for stock in market.stocks.values() if stock.listing.kind == "ETF")
    facts = made_up(fund, market)

    assert (facts["quoteType"], facts["typeDisp"]) == ("ETF", "ETF")
    assert "earningsTimestamp" not in facts
    assert "netAssets" in facts


def test_new_york_s_offset_follows_the_season() -> None:
    for now, name, offset_ms in ((WINTER, "EST", -18_000_000), (SUMMER, "EDT", -14_400_000)):
        market = practice(now)
        facts = made_up(next(iter(market.stocks.values())), market)
        assert (facts["exchangeTimezoneShortName"], facts["gmtOffSetMilliseconds"]) == (name, offset_ms)
