"""Unmodified yfinance works against the practice market, and reads from it what the product reads."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from market.quotes import Quote
from net.client import HttpClient
from net.tls import build_trust
from simulator import testing
from simulator.world import listings
from simulator.world.walk import Stock
from tests.fix_clock import FakeClock
from tests.fix_simulator import StillClock
from yahoo.session import QuoteSession

PROBE = Path(__file__).with_name("through_yfinance.py")
SYMBOLS = [*testing.SYMBOLS, *(each.symbol for each in listings.bundled()[7:11_000:57])][:200]
SAME = {
    "company_name": "longName",
    "exchange": "exchange",
    "quote_type": "quoteType",
    "currency": "currency",
    "market_state": "marketState",
    "current_price": "regularMarketPrice",
    "price_change": "regularMarketChange",
    "price_change_percent": "regularMarketChangePercent",
    "volume": "regularMarketVolume",
    "days_low": "regularMarketDayLow",
    "days_high": "regularMarketDayHigh",
    "open_price": "regularMarketOpen",
    "previous_close": "regularMarketPreviousClose",
    "week_52_low": "fiftyTwoWeekLow",
    "week_52_high": "fiftyTwoWeekHigh",
    "avg_volume_3mon": "averageDailyVolume3Month",
    "market_cap": "marketCap",
    "shares_outstanding": "sharesOutstanding",
    "pe_ratio": "trailingPE",
    "forward_pe": "forwardPE",
    "earnings_per_share": "epsTrailingTwelveMonths",
    "book_value": "bookValue",
    "price_to_book": "priceToBook",
}
"""The product's field -> yfinance's key with the same unit."""


def single(value: float) -> float:
    """Return what is left of a price in single precision."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


async def yfinance(market: testing.PracticeMarket, what: str, *symbols: str) -> Any:
    """Run yfinance in a process of its own behind the market's proxy and CA."""
    through = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), market.proxy_url)
    trusted = dict.fromkeys(("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(market.ca_file))
    kept = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "all_proxy")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", str(PROBE), what, *symbols),
        env={**kept, **through, **trusted},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 250)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What yfinance and the product saw of one market that stood still."""

    yfinance: dict[str, Any]
    product: dict[str, Quote]
    stocks: dict[str, Stock]
    refused: list[str]


async def product(market: testing.PracticeMarket, folder: Path) -> dict[str, Quote]:
    trust = build_trust(ca_file=str(market.ca_file), state_dir=folder)
    async with HttpClient(ca_path=trust.ca_path, proxy=market.proxy_url) as http:
        session = QuoteSession(http, FakeClock())
        await session.mint()
        answers = [await session.quotes(SYMBOLS[:100]), await session.quotes(SYMBOLS[100:])]
    return {quote.ticker: quote for answer in answers for quote in answer.quotes}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    async def look() -> Seen:
        folder = tmp_path_factory.mktemp("yfinance")
        async with testing.running(folder, symbols=SYMBOLS, calendar="XNYS", clock=StillClock()) as market:
            return Seen(
                yfinance=await yfinance(market, "everything", *SYMBOLS),
                product=await product(market, folder),
                stocks=dict(market.market.stocks),
                refused=list(market.server.refused_hosts),
            )

    return asyncio.run(look())


def test_yfinance_asked_no_host_that_the_market_is_not(seen: Seen) -> None:
    assert seen.refused == []


def test_two_hundred_tickers_read_through_yfinance_are_those_read_by_the_product(seen: Seen) -> None:
    assert len(seen.product) == len(SYMBOLS) == 200
    for symbol, quote in seen.product.items():
        info = seen.yfinance["info"][symbol]
        ours = {name: getattr(quote, name) for name in SAME}
        assert ours == {name: info.get(key) for name, key in SAME.items()}, symbol
        percent = info.get("dividendYield")
        assert quote.dividend_yield == (None if percent is None else pytest.approx(percent / 100)), symbol
        assert (quote.bid_price, quote.ask_price) == (info.get("bid") or None, info.get("ask") or None)
        assert quote.price_time is not None
        assert quote.price_time.timestamp() == seen.stocks[symbol].trade_time_s


def test_info_holds_what_the_daily_refresh_wants_beside_the_market_s_own_numbers(seen: Seen) -> None:
    apple, stock = seen.yfinance["info"]["AAPL"], seen.stocks["AAPL"]
    assert (apple["currentPrice"], apple["open"], apple["dayLow"], apple["dayHigh"], apple["previousClose"]) == (
        *(stock.price, stock.open, stock.low, stock.high),
        stock.previous_close,
    )
    assert apple["volume"] == apple["regularMarketVolume"] == stock.volume
    assert (apple["sector"], apple["industry"]) == ("Technology", "Consumer Electronics")
    assert {"beta", "targetMeanPrice", "recommendationKey", "fullTimeEmployees", "trailingPegRatio"} <= apple.keys()
    assert apple["targetLowPrice"] < apple["targetMeanPrice"] < apple["targetHighPrice"]
    # v7 has overwritten quoteSummary's fraction: 1.08 USD a year, in percent.
    assert apple["dividendYield"] == round(108 / stock.price, 2)


def test_daily_bars_reach_two_years_back_and_end_in_the_previous_close_and_today(seen: Seen) -> None:
    for symbol, daily in seen.yfinance["daily"].items():
        stock, columns = seen.stocks[symbol], daily["columns"]
        assert len(daily["at_s"]) > 400, symbol
        assert columns["Close"][-2] == pytest.approx(single(stock.previous_close), abs=1e-9)
        today = [columns[name][-1] for name in ("Open", "High", "Low", "Close", "Volume")]
        prices = (single(price) for price in (stock.open, stock.high, stock.low, stock.price))
        assert today == [*prices, float(stock.volume)]
        assert all(
            low <= min(a, b) <= max(a, b) <= high
            for a, b, low, high in zip(*(columns[name] for name in ("Open", "Close", "Low", "High")), strict=True)
        )


def test_the_bars_of_a_year_hold_the_quote_s_extremes_and_average_volume(seen: Seen) -> None:
    for symbol, daily in seen.yfinance["daily"].items():
        info, columns = seen.yfinance["info"][symbol], daily["columns"]
        year = slice(-251, None)  # 252 sessions can reach behind 365 days
        assert min(columns["Low"]) <= single(info["fiftyTwoWeekLow"]) <= min(columns["Low"][year]) + 1e-6, symbol
        assert max(columns["High"]) >= single(info["fiftyTwoWeekHigh"]) >= max(columns["High"][year]) - 1e-6, symbol
        mean = sum(columns["Volume"][-64:-1]) / 63
        assert mean == pytest.approx(info["averageDailyVolume3Month"], abs=1), symbol


def test_the_minutes_of_the_day_add_up_to_the_day(seen: Seen) -> None:
    for symbol, minutes in seen.yfinance["minutes"].items():
        stock, columns = seen.stocks[symbol], minutes["columns"]
        assert columns["Open"][0] == single(stock.open), symbol
        assert max(columns["High"]) == single(stock.high), symbol
        assert min(columns["Low"]) == single(stock.low), symbol
        assert columns["Close"][-1] == single(stock.price), symbol
        assert sum(columns["Volume"]) == stock.volume, symbol
    assert len(seen.yfinance["minutes"]["AAPL"]["at_s"]) >= 150  # 09:30 to 12:00


def test_longer_and_older_bars_come_as_asked(seen: Seen) -> None:
    five, weekly, hourly = (seen.yfinance[name] for name in ("five_days", "weekly", "hourly"))
    assert len(five["at_s"]) >= 4 * 78 + 30
    assert 25 <= len(weekly["at_s"]) <= 28
    assert len(hourly["at_s"]) > 19 * 7
    daily = seen.yfinance["daily"]["AAPL"]["columns"]
    assert weekly["columns"]["High"][-2] == max(daily["High"][-6:-1])  # today is a Monday


def test_dividends_are_a_fourth_of_the_yearly_rate_each_quarter(seen: Seen) -> None:
    # AAPL paid 1.05 USD over the last year (recorded 2026-10-03).
    assert seen.yfinance["dividends"][-4:] == [0.2625] * 4
    daily = seen.yfinance["daily"]["AAPL"]["columns"]
    assert [paid for paid in daily["Dividends"] if paid][-4:] == [0.2625] * 4
    assert daily["Adj Close"][-1] == daily["Close"][-1]
    assert daily["Adj Close"][0] < daily["Close"][0]


def test_an_unknown_ticker_has_no_bars_and_no_facts(seen: Seen) -> None:
    assert seen.yfinance["unknown"] == {"at_s": [], "columns": {}}
    assert not seen.yfinance["unknown_info"].get("quoteType")


def test_a_screen_pages_through_every_share(seen: Seen) -> None:
    screens = seen.yfinance["screens"]
    shares = sorted(symbol for symbol in SYMBOLS if seen.yfinance["info"][symbol]["quoteType"] == "EQUITY")
    assert screens["symbols"] == shares
    assert screens["total"] == len(shares)
    actives = screens["predefined"]["quotes"]
    volumes = [row["regularMarketVolume"] for row in actives]
    assert volumes == sorted(volumes, reverse=True)
    assert all(row["marketCap"] >= 2_000_000_000 for row in actives)


def test_search_calendar_and_statements_are_answered(seen: Seen) -> None:
    assert seen.yfinance["found"][0] == "AAPL"
    assert {"Earnings Date", "Dividend Date", "Ex-Dividend Date"} <= set(seen.yfinance["calendar_keys"])
    assert seen.yfinance["income_rows"] > 20
    assert seen.yfinance["shares"] == seen.product["AAPL"].shares_outstanding


async def test_an_async_websocket_gets_each_trade_as_the_market_made_it(
    practice_market: testing.PracticeMarket,
) -> None:
    messages = await yfinance(practice_market, "stream", "AAPL", "MSFT")

    assert {message["id"] for message in messages} == {"AAPL", "MSFT"}
    for message in messages:
        sent = {single(each.price) for each in practice_market.sent(message["id"])}
        assert single(message["price"]) in sent
        assert int(message["time"]) % 1000 == 0
        assert int(message["day_volume"]) > 0
        assert not message.keys() & {"bid", "ask", "open_price", "previous_close"}


async def test_a_visitor_from_the_eu_passes_the_consent_pages(still_market: testing.PracticeMarket) -> None:
    """The first crumb is an HTML page, as without consent; yfinance then takes the way over guce.yahoo.com."""
    still_market.faults.answer_status("/v1/test/getcrumb", 200, b"<html>consent</html>")

    info = await yfinance(still_market, "info", "AAPL")

    assert info["regularMarketPrice"] == still_market.market.stocks["AAPL"].price
    assert not still_market.faults.answers["/v1/test/getcrumb"]
