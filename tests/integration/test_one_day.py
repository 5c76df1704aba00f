"""Every ticker has one day: stream, quote, chart and quoteSummary say the same, whatever happens in the market."""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import chart, quotes, screener, search, summary, timeseries
from simulator.answers.messages import Request
from simulator.answers.rest import HOSTS, Rest
from simulator.stream.feed import Feed
from simulator.trouble.faults import Faults
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import pricing_schema

MONDAY_CLOSE = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
TUESDAY_OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
XNYS = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)


def single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def run(market: Market, start: datetime, seconds: int) -> None:
    for second in range(seconds):
        market.advance(start + timedelta(seconds=second))


@pytest.fixture(scope="module")
def market() -> Market:
    """The whole market on Tuesday, 100 s after the open, after a day's end and with something of everything."""
    market = Market(listings.bundled(), calendar=XNYS, seed=1, now=MONDAY_CLOSE - timedelta(seconds=60))
    run(market, MONDAY_CLOSE - timedelta(seconds=59), 62)
    market.split("AAPL", 4, 1)
    market.halt("MSFT")
    market.gap("F", -15)
    market.pay_dividend("ABBV", 1.64)
    market.rename("SOHO", "SOHOX")
    market.delist("AMZN")
    run(market, TUESDAY_OPEN, 50)
    market.gap("QQQ", 7)
    market.split("SPY", 1, 2)
    market.list_new(listings.invented("ZZNEW", name="Newcomer"))
    run(market, TUESDAY_OPEN + timedelta(seconds=50), 50)
    return market


def frames(market: Market, symbols: list[str]) -> dict[str, Any]:
    """Return the newest message of the stream for each ticker, read with yfinance's own schema."""
    found = {}
    for symbol, data in Feed(market, Faults()).snapshot(symbols).items():
        found[symbol] = pricing_schema()()
        found[symbol].ParseFromString(base64.b64decode(json.loads(data[data.index(b"{") :])["message"]))
    return found


def chart_of(market: Market, symbol: str, interval: str) -> dict[str, list[Any]]:
    status, document = chart.answer(market, symbol, {"range": "1d", "interval": interval})
    assert status == 200
    return dict(document["chart"]["result"][0]["indicators"]["quote"][0])


def names(market: Market) -> list[str]:
    special = ["AAPL", "MSFT", "F", "ABBV", "SOHOX", "QQQ", "SPY", "ZZNEW"]
    return [*special, *list(market.stocks)[5::211]]


def test_quote_summary_and_chart_have_the_market_s_day(market: Market) -> None:
    for symbol in names(market):
        stock = market.stocks[symbol]
        day = (stock.open, stock.high, stock.low, stock.price, stock.volume)
        quote = quotes.answer(market, symbol)
        assert quote is not None
        keys = ("Open", "DayHigh", "DayLow", "Price", "Volume")
        assert tuple(quote[f"regularMarket{key}"] for key in keys) == day, symbol
        detail = summary.answer(market, symbol, {"modules": "summaryDetail"})[1]["quoteSummary"]["result"][0]
        assert tuple(detail["summaryDetail"][key] for key in ("open", "dayHigh", "dayLow", "volume")) == (
            *day[:3],
            stock.volume,
        )
        daily = chart_of(market, symbol, "1d")
        assert [daily[key][-1] for key in ("open", "high", "low", "close", "volume")] == [
            *(single(price) for price in day[:4]),
            stock.volume,
        ]


def test_the_minutes_add_up_to_the_day(market: Market) -> None:
    for symbol in names(market):
        stock = market.stocks[symbol]
        bars = chart_of(market, symbol, "1m")
        if not stock.volume:
            assert bars == {}
            continue
        whole = (bars["open"][0], max(bars["high"]), min(bars["low"]), bars["close"][-1], sum(bars["volume"]))
        assert whole == pytest.approx((stock.open, stock.high, stock.low, stock.price, stock.volume), rel=1e-6), symbol


def test_the_stream_says_the_quote_s_price_change_and_volume_and_no_more(market: Market) -> None:
    for symbol, message in frames(market, names(market)).items():
        quote = quotes.answer(market, symbol)
        assert quote is not None
        assert message.price == single(quote["regularMarketPrice"]), symbol
        assert message.change == pytest.approx(quote["regularMarketChange"], rel=1e-5, abs=1e-6)
        assert message.change_percent == pytest.approx(quote["regularMarketChangePercent"], rel=1e-5, abs=1e-6)
        assert message.day_volume == quote["regularMarketVolume"]
        assert message.time == 1000 * quote["regularMarketTime"]
        assert {each.name for each, _ in message.ListFields()} <= {
            *("id", "price", "time", "exchange", "quote_type", "market_hours", "change_percent"),
            *("day_volume", "change", "price_hint", "last_size"),
        }


def test_what_happened_over_night_is_in_tuesday_s_open(market: Market) -> None:
    apple, ford, abbvie = (market.stocks[symbol] for symbol in ("AAPL", "F", "ABBV"))

    assert apple.open == pytest.approx(apple.previous_close, rel=0.001)
    assert ford.open == pytest.approx(0.85 * ford.previous_close, rel=0.001)
    assert abbvie.open == pytest.approx(abbvie.previous_close - 1.64, abs=0.011)
    assert market.stocks["MSFT"].volume == 0
    for gone in ("AMZN", "SOHO"):
        assert chart.answer(market, gone, {})[0] == 404


@pytest.fixture(scope="module")
def app() -> Rest:
    small = Market(listings.chosen(["AAPL", "NA", "QQQ"]), calendar=XNYS, seed=1, now=TUESDAY_OPEN)
    return Rest(small, Faults(), secret=b"fuzz")


PATHS = st.sampled_from(
    [
        *("/v7/finance/quote", "/v10/finance/quoteSummary/AAPL", "/v8/finance/chart/AAPL", "/v8/finance/chart/NA"),
        *("/v1/finance/search", "/v1/finance/screener", "/v1/finance/screener/predefined/saved", "/v7/finance/spark"),
        *("/ws/fundamentals-timeseries/v1/finance/timeseries/AAPL", "/v1/finance/trending/US", "/consent"),
        *("/v6/finance/recommendationsbysymbol/AAPL", "/v2/collectConsent", "/copyConsent", "/quote/AAPL", "/"),
    ]
)
KEYS = st.sampled_from(
    [
        *("symbols", "fields", "crumb", "modules", "range", "interval", "period1", "period2", "events"),
        *("includePrePost", "q", "count", "quotesCount", "newsCount", "scrIds", "start", "type", "sessionId", "done"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        ["1d", "1m", "5y", "max", "ytd", "1wk", "AAPL,NA", "price,summaryDetail", "annualX,trailingPegRatio"]
    ),
)


@given(st.sampled_from(sorted(HOSTS)), PATHS, st.dictionaries(KEYS, VALUES, max_size=6), st.binary(max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_request_is_too_strange_for_an_answer(
    app: Rest, host: str, path: str, query: dict[str, str], body: bytes
) -> None:
    for method in ("GET", "POST"):
        asked = Request(method=method, host=host, target=f"{path}?{urlencode(query)}", headers={}, body=body)
        answer = app.respond(asked)
        assert answer.status in (200, 301, 302, 307, 400, 401, 404, 405, 422)
        if answer.content_type.startswith("application/json") and host.endswith("finance.yahoo.com"):
            json.loads(answer.body)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_query_is_too_strange_for_who_has_a_crumb(app: Rest, query: dict[str, str]) -> None:
    for known in (others, summary.answer, chart.answer):
        status, document = known(app._market, "AAPL", query)  # the endpoints behind the crumb
        assert status in (200, 400, 404, 422)
        json.dumps(document, allow_nan=False)


def others(market: Market, symbol: str, query: dict[str, str]) -> tuple[int, Any]:
    for answer in (screener.predefined, search.search, search.spark, search.trending):
        status, document = answer(market, query)
        assert status in (200, 400, 404)
        json.dumps(document, allow_nan=False)
    return timeseries.answer(market, symbol, query)
