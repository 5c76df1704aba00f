"""Yahoo's quoteSummary answers: recorded modules with the ticker's own facts and prices put in. Does no I/O.

Units are those of this endpoint: change percent and dividendYield are fractions, sizes of the book are shares.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache

from market.universe import BUNDLED_UNIVERSE, parse_universe
from simulator.answers.chart import Answer
from simulator.answers.facts import COMPANIES, Facts, float32
from simulator.answers.history import Dividend, dividends, splits
from simulator.answers.quotes import answer as quote_of
from simulator.answers.quotes import whole
from simulator.world.listings import DATA
from simulator.world.walk import Market, Stock

PLAIN = {"price", "quoteType", "summaryDetail"}
"""What there is of warrants, rights, units, preferreds and notes."""
RECORDED_PROFILE = {"AAPL", "QQQ", "BTC-USD"}
"""Tickers whose recorded descriptions stand."""
SHARES_A_LOT = 100
RATINGS = ("strong_buy", "buy", "hold", "underperform", "sell")
SUMMARY_DETAIL = {
    "previousClose": "regularMarketPreviousClose",
    "open": "regularMarketOpen",
    "dayLow": "regularMarketDayLow",
    "dayHigh": "regularMarketDayHigh",
    "volume": "regularMarketVolume",
    "averageVolume": "averageDailyVolume3Month",
    "averageVolume10days": "averageDailyVolume10Day",
    "totalAssets": "netAssets",
    "volume24Hr": "regularMarketVolume",
    "volumeAllCurrencies": "regularMarketVolume",
}
KEY_STATISTICS = {
    "trailingEps": "epsTrailingTwelveMonths",
    "forwardEps": "epsForward",
    "totalAssets": "netAssets",
}
QUOTE_TYPE = {"timeZoneFullName": "exchangeTimezoneName", "timeZoneShortName": "exchangeTimezoneShortName"}


@cache
def recorded() -> Mapping[str, Mapping[str, Facts]]:
    """Return quoteType -> module -> what was recorded of AAPL, QQQ and BTC-USD in 2025-02."""
    document: Mapping[str, Mapping[str, Facts]] = json.loads((DATA / "summaries.json").read_bytes())
    return document


@cache
def industries() -> Mapping[str, tuple[str, str]]:
    """Return symbol -> sector and industry."""
    listed = parse_universe(BUNDLED_UNIVERSE.read_text(encoding="utf-8"), source=BUNDLED_UNIVERSE.name).listings
    return {each.ticker: (each.sector, each.industry or each.sector) for each in listed if each.sector}


def answer(market: Market, symbol: str, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v10/finance/quoteSummary/`symbol`."""
    wanted = [name for name in query.get("modules", "").split(",") if name]
    if not symbol:
        return 404, {"quoteSummary": {"result": [], "error": None}}
    if not wanted:
        return _error(400, "Bad Request", "Missing required query parameter=modules")
    stock = market.stocks.get(symbol)
    if stock is None and quote_of(market, symbol) is None:
        return unknown(symbol)
    found = {
        name: module for name in dict.fromkeys(wanted) if stock and (module := _module(market, stock, name)) is not None
    }
    if not found:
        said = f"No fundamentals data found for any of the summaryTypes={','.join(wanted)}"
        return _error(404, "Not Found", said)
    return 200, {"quoteSummary": {"result": [found], "error": None}}


def unknown(symbol: str) -> Answer:
    return _error(404, "Not Found", f"Quote not found for symbol: {symbol}")


def _error(status: int, code: str, description: str) -> Answer:
    return status, {"quoteSummary": {"result": None, "error": {"code": code, "description": description}}}


def _module(market: Market, stock: Stock, name: str) -> Facts | None:
    quote = quote_of(market, stock.listing.symbol)
    assert quote is not None, "a stock of the market has a quote"
    known = recorded()[quote["quoteType"]]
    if name not in known or (quote["quoteType"] == "EQUITY" and not _has(stock, name)):
        return None
    dice = random.Random(zlib.crc32(stock.origin.encode()))
    fill = FILLS.get(name)
    moving = fill(_Ticker(market, stock, quote, dice)) if fill else {}
    return {key: whole(moving.get(key, value)) for key, value in known[name].items() if moving.get(key, 0) is not _GONE}


def _has(stock: Stock, name: str) -> bool:
    return stock.listing.kind in COMPANIES or name in PLAIN


_GONE = object()
"""In place of a value: the answer does not have the key."""


class _Ticker:
    """What the modules are filled from."""

    def __init__(self, market: Market, stock: Stock, quote: Facts, dice: random.Random) -> None:
        self.market = market
        self.stock = stock
        self.quote = quote
        self.beta = round(dice.uniform(0.3, 2.2), 3)
        self.target = dice.uniform(0.8, 1.4)
        self.analysts = dice.randint(1, 45)
        self.employees = dice.randint(20, 200_000)
        self.revenue_share = dice.uniform(0.05, 1.5)

    def taken(self, keys: Mapping[str, str], module: str) -> Facts:
        """Return the module's keys that the quote has too, under its own names or those of `keys`."""
        template = recorded()[self.quote["quoteType"]][module]
        found = {key: self.quote[key] for key in template.keys() & self.quote.keys()}
        return found | {key: self.quote.get(source, _GONE) for key, source in keys.items() if key in template}

    @property
    def last_dividend(self) -> Dividend | None:
        paid = dividends(self.market, self.stock)
        return paid[-1] if paid else None

    @property
    def market_cap(self) -> float:
        return float(self.quote.get("marketCap", 0))


def _summary_detail(ticker: _Ticker) -> Facts:
    quote, price = ticker.quote, ticker.stock.price
    last = ticker.last_dividend
    rate, eps = quote.get("dividendRate"), quote.get("epsTrailingTwelveMonths", 0)
    revenue = ticker.market_cap * ticker.revenue_share
    found = ticker.taken(SUMMARY_DETAIL, "summaryDetail") | {
        "beta": ticker.beta,
        "payoutRatio": float32(rate / eps) if rate and eps > 0 else 0,
        "fiveYearAvgDividendYield": round(100 * rate / price, 2) if rate else _GONE,
        "dividendRate": rate or _GONE,
        # A fraction here; v7 has percent under the same name.
        "dividendYield": round(rate / price, 4) if rate else _GONE,
        "exDividendDate": _midnight_s(last.at_s) if last else _GONE,
        "bidSize": SHARES_A_LOT * quote.get("bidSize", 0),
        "askSize": SHARES_A_LOT * quote.get("askSize", 0),
        "priceToSalesTrailing12Months": float32(ticker.market_cap / revenue) if revenue else _GONE,
        "navPrice": price,
        "yield": round(quote.get("trailingAnnualDividendYield", 0), 4),
    }
    absent = (
        *("trailingPE", "forwardPE", "marketCap", "totalAssets"),
        *("trailingAnnualDividendRate", "trailingAnnualDividendYield"),
    )
    return found | {key: _GONE for key in absent if key not in found}


def _price(ticker: _Ticker) -> Facts:
    stock, quote = ticker.stock, ticker.quote
    extra = {key: quote.get(key, _GONE) for key in ("postMarketTime", "postMarketPrice", "postMarketChange")}
    return {
        **ticker.taken({"exchangeName": "fullExchangeName"}, "price"),
        "regularMarketChangePercent": float32(stock.change_percent / 100),
        "postMarketChangePercent": 0 if "postMarketPrice" in quote else _GONE,
        "postMarketSource": "FREE_REALTIME" if "postMarketPrice" in quote else _GONE,
        **extra,
        # Nothing trades before the open here.
        **dict.fromkeys(
            ("preMarketChangePercent", "preMarketChange", "preMarketTime", "preMarketPrice", "preMarketSource"), _GONE
        ),
        "marketCap": quote.get("marketCap", _GONE),
    }


def _quote_type(ticker: _Ticker) -> Facts:
    return {
        **ticker.taken(QUOTE_TYPE, "quoteType"),
        "underlyingSymbol": ticker.stock.listing.symbol,
        "firstTradeDateEpochUtc": ticker.quote.get("firstTradeDateMilliseconds", 0) // 1000,
    }


def _key_statistics(ticker: _Ticker) -> Facts:
    quote = ticker.quote
    shares = quote.get("sharesOutstanding", 0)
    last = ticker.last_dividend
    parted = splits(ticker.market, ticker.stock)
    found = ticker.taken(KEY_STATISTICS, "defaultKeyStatistics") | {
        "beta": ticker.beta,
        "beta3Year": ticker.beta,
        "enterpriseValue": round(1.05 * ticker.market_cap),
        "floatShares": round(0.9 * shares),
        "sharesShort": round(0.02 * shares),
        "sharesShortPriorMonth": round(0.019 * shares),
        "netIncomeToCommon": round(quote.get("epsTrailingTwelveMonths", 0) * shares),
        "52WeekChange": float32(quote.get("fiftyTwoWeekChangePercent", 0) / 100),
        "lastSplitFactor": f"{parted[-1].new}:{parted[-1].old}" if parted else None,
        "lastSplitDate": _midnight_s(parted[-1].at_s) if parted else _GONE,
        "lastDividendValue": last.amount_usd if last else _GONE,
        "lastDividendDate": _midnight_s(last.at_s) if last else _GONE,
        "yield": round(quote.get("trailingAnnualDividendYield", 0), 4),
        "ytdReturn": round(quote.get("ytdReturn", 0) / 100, 6),
    }
    absent = ("forwardPE", "priceToBook", "bookValue", "totalAssets")
    return found | {key: _GONE for key in absent if key not in found}


def _financial_data(ticker: _Ticker) -> Facts:
    quote, price = ticker.quote, ticker.stock.price
    mean = price * ticker.target
    cents = ticker.stock.digits
    grade = float(quote.get("averageAnalystRating", "3.0").partition(" ")[0])
    revenue = round(ticker.market_cap * ticker.revenue_share)
    shares = quote.get("sharesOutstanding", 1)
    return {
        "currentPrice": price,
        "targetHighPrice": round(1.2 * mean, cents),
        "targetLowPrice": round(0.8 * mean, cents),
        "targetMeanPrice": round(mean, 5),
        "targetMedianPrice": round(mean, cents),
        "recommendationMean": grade,
        "recommendationKey": RATINGS[min(4, int(grade + 0.5) - 1)],
        "numberOfAnalystOpinions": ticker.analysts,
        "totalRevenue": revenue,
        "revenuePerShare": round(revenue / shares, 3),
        "ebitda": round(0.3 * revenue),
        "grossProfits": round(0.45 * revenue),
        "freeCashflow": round(0.2 * revenue),
        "operatingCashflow": round(0.25 * revenue),
        "totalCash": round(0.1 * ticker.market_cap),
        "totalDebt": round(0.15 * ticker.market_cap),
        "totalCashPerShare": round(0.1 * ticker.market_cap / shares, 3),
    }


def _calendar_events(ticker: _Ticker) -> Facts:
    quote = ticker.quote
    last = ticker.last_dividend
    template = recorded()["EQUITY"]["calendarEvents"]["earnings"]
    eps = (quote.get("epsForward") or quote.get("epsTrailingTwelveMonths") or 0) / 4
    revenue = ticker.market_cap * ticker.revenue_share / 4
    dates = [quote[key] for key in ("earningsTimestampStart", "earningsTimestampEnd") if key in quote]
    calls = [quote["earningsCallTimestampStart"]] if "earningsCallTimestampStart" in quote else []
    earnings = template | {
        "earningsDate": sorted(set(dates)),
        "earningsCallDate": calls,
        "isEarningsDateEstimate": quote.get("isEarningsDateEstimate", False),
        "earningsAverage": round(eps, 5),
        "earningsLow": round(eps - abs(eps) / 10, 2),
        "earningsHigh": round(eps + abs(eps) / 10, 2),
        "revenueAverage": round(revenue),
        "revenueLow": round(0.95 * revenue),
        "revenueHigh": round(1.05 * revenue),
    }
    return {
        "earnings": earnings,
        "exDividendDate": _midnight_s(last.at_s) if last else _GONE,
        "dividendDate": quote.get("dividendDate", _GONE),
    }


def _profile(ticker: _Ticker) -> Facts:
    if ticker.stock.origin in RECORDED_PROFILE:
        return {}
    sector, industry = industries().get(ticker.stock.origin, ("Industrials", "Conglomerates"))
    names = {"sector": sector, "industry": industry}
    keys = {f"{kind}Key": name.lower().replace(" & ", "-").replace(" ", "-") for kind, name in names.items()}
    shown = {f"{kind}Disp": name for kind, name in names.items()}
    return {**names, **keys, **shown, "fullTimeEmployees": ticker.employees}


def _midnight_s(at_s: int) -> int:
    """Return the day's midnight in UTC, as this endpoint gives dates."""
    return int(datetime.fromtimestamp(at_s, UTC).replace(hour=0, minute=0, second=0).timestamp())


FILLS: Mapping[str, Callable[[_Ticker], Facts]] = {
    "summaryDetail": _summary_detail,
    "price": _price,
    "quoteType": _quote_type,
    "defaultKeyStatistics": _key_statistics,
    "financialData": _financial_data,
    "calendarEvents": _calendar_events,
    "assetProfile": _profile,
    "summaryProfile": _profile,
}
"""Modules with values of the ticker's own; the others are as recorded of one of its type."""
