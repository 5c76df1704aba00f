from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import quotes
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
RECORDED = {each["symbol"]: each for each in json.loads((listings.DATA / "v7_quotes.json").read_text(encoding="utf-8"))}
PRICED = sorted(symbol for symbol, facts in RECORDED.items() if facts["quoteType"] != "NONE")


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.bundled(), calendar=calendar, seed=3, now=NOON)
    for step in range(1, 31):
        market.advance(NOON + timedelta(seconds=step))
    return market


def quote(market: Market, symbol: str) -> dict[str, Any]:
    answer = quotes.answer(market, symbol)
    assert answer is not None
    return answer


@pytest.mark.parametrize("symbol", PRICED)
def test_a_recorded_answer_s_key_set_is_reproduced(practice: Market, symbol: str) -> None:
    assert quote(practice, symbol).keys() == RECORDED[symbol].keys()


@pytest.mark.parametrize("symbol", PRICED)
def test_a_recorded_answer_s_types_are_reproduced(practice: Market, symbol: str) -> None:
    number = (int, float)
    for key, value in quote(practice, symbol).items():
        was = RECORDED[symbol][key]
        # Yahoo writes 241 for 241.0, so a price may be either; nothing else changes its type.
        assert type(value) is type(was) or (isinstance(value, number) and isinstance(was, number)), key


def test_a_delisted_ticker_is_answered_without_a_price(practice: Market) -> None:
    assert quotes.answer(practice, "BRKS") == RECORDED["BRKS"]


def test_an_unknown_ticker_is_not_answered(practice: Market) -> None:
    assert quotes.answer(practice, "NO-SUCH") is None


def test_every_ticker_s_numbers_add_up(practice: Market) -> None:
    for symbol in list(practice.stocks)[::7]:
        answer = quote(practice, symbol)
        price, close = answer["regularMarketPrice"], answer["regularMarketPreviousClose"]
        assert None not in answer.values(), symbol
        assert answer["regularMarketDayLow"] <= price <= answer["regularMarketDayHigh"]
        assert answer["fiftyTwoWeekLow"] <= answer["regularMarketDayLow"]
        assert answer["fiftyTwoWeekHigh"] >= answer["regularMarketDayHigh"]
        assert answer["regularMarketChange"] == pytest.approx(price - close, abs=1e-4)
        assert answer["regularMarketChangePercent"] == pytest.approx(100 * (price - close) / close, rel=1e-6)
        json.dumps(answer, allow_nan=False)


def test_a_yield_is_percent_in_one_key_and_a_fraction_in_the_other(practice: Market) -> None:
    answer = quote(practice, "AAPL")
    price = answer["regularMarketPrice"]

    # AAPL pays 1.08 a year, 1.05 over the last one (recorded 2026-10-03).
    assert answer["dividendYield"] == round(108 / price, 2)
    assert answer["trailingAnnualDividendYield"] == pytest.approx(1.05 / answer["regularMarketPreviousClose"], rel=1e-6)


def test_ratios_follow_the_price(practice: Market) -> None:
    answer = quote(practice, "AAPL")

    assert answer["trailingPE"] == pytest.approx(answer["regularMarketPrice"] / 8.81, rel=1e-6)
    assert answer["marketCap"] == int(14_594_180_000 * answer["regularMarketPrice"])


def test_a_ticker_without_a_book_keeps_zeros(practice: Market) -> None:
    answer = quote(practice, "SOHO")

    assert [answer[key] for key in ("bid", "ask", "bidSize", "askSize")] == [0, 0, 0, 0]


def test_a_book_lies_around_the_price(practice: Market) -> None:
    answer = quote(practice, "AAPL")

    assert answer["bid"] < answer["regularMarketPrice"] < answer["ask"]


def test_a_fields_filter_leaves_those_and_what_yahoo_always_sends(practice: Market) -> None:
    kept = quotes.only(quote(practice, "MSFT"), frozenset({"symbol", "regularMarketVolume"}))

    # TSLA, fields=symbol, 2025-02-17: 25 keys.
    assert len(kept.keys() - {"regularMarketVolume"}) == 25
    assert "regularMarketVolume" in kept
    assert "regularMarketChange" not in kept


def test_whole_numbers_have_no_decimals() -> None:
    assert json.dumps([quotes.whole(value) for value in (241.0, 241.5, 0.0, "1.0", True)]) == (
        '[241, 241.5, 0, "1.0", true]'
    )


def small() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.chosen(["AAPL", "F"]), calendar=calendar, seed=3, now=NOON)


def test_a_split_restates_what_is_per_share_and_leaves_ratios_and_the_company_s_worth() -> None:
    market = small()
    before = quote(market, "AAPL")
    market.split("AAPL", 4, 1)
    after = quote(market, "AAPL")

    for key in ("regularMarketPrice", "regularMarketPreviousClose", "epsTrailingTwelveMonths", "fiftyTwoWeekHigh"):
        assert after[key] == pytest.approx(before[key] / 4, abs=0.0051), key
    assert after["sharesOutstanding"] == 4 * before["sharesOutstanding"]
    assert after["averageDailyVolume3Month"] == 4 * before["averageDailyVolume3Month"]
    for key in ("trailingPE", "marketCap", "dividendYield", "regularMarketChangePercent"):
        assert after[key] == pytest.approx(before[key], rel=0.01), key


def test_a_renamed_ticker_keeps_its_facts() -> None:
    market = small()
    before = quote(market, "F")
    market.rename("F", "FORD")

    assert quotes.answer(market, "F") is None
    assert quote(market, "FORD") == before | {"symbol": "FORD"}


def test_a_ticker_delisted_by_script_is_answered_without_a_price() -> None:
    market = small()
    market.delist("F")

    # The keys of BRKS's recorded answer.
    assert quote(market, "F") == RECORDED["BRKS"] | {"symbol": "F"}


def test_a_dividend_by_script_is_in_the_trailing_rate() -> None:
    market = small()
    rate = quote(market, "AAPL")["trailingAnnualDividendRate"]
    market.pay_dividend("AAPL", 0.5)

    assert quote(market, "AAPL")["trailingAnnualDividendRate"] == pytest.approx(rate + 0.5)


def test_a_new_low_widens_the_year_s_range() -> None:
    market = small()
    market.gap("AAPL", -60)
    answer = quote(market, "AAPL")

    assert answer["fiftyTwoWeekLow"] == answer["regularMarketDayLow"] == answer["regularMarketPrice"]
