"""The facts of a ticker of which no answer is recorded: the same at each start, from its symbol alone. Does no I/O.

Keys are missing as often as in the recorded answers of US equities and ETFs (7 equities and 1 ETF without a fields
filter, 2025-02 to 2026-10, and 12 equities of 2025-02). A key whose value follows from the price is None here.
"""

from __future__ import annotations

import random
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from market.eastern import to_local
from simulator.world.listings import Listing
from simulator.world.walk import Market, Stock

Facts = dict[str, Any]

# Share of equities that have the key (or the trait); the counts are answers of the recordings.
LOSES_MONEY = 3 / 12  # then trailingPE is absent
PAYS_DIVIDEND = 6 / 12  # dividendYield and dividendRate
HAS_TRAILING_YIELD = 11 / 12
HAS_EARNINGS_DATE = 11 / 12
HAS_FORECAST = 11 / 12  # epsForward, forwardPE
HAS_YEAR_FORECAST = 5 / 7  # epsCurrentYear, priceEpsCurrentYear
HAS_RATING = 4 / 7
HAS_DISPLAY_NAME = 6 / 7
HAS_DIVIDEND_DATE = 6 / 7
HAS_NO_BOOK = 1 / 12  # bid, ask and their sizes are 0
ETF_HAS_EARNINGS = 1 / 2  # an assumption: the one ETF recorded holds shares; those of bonds or metals have none
ETF_HAS_MARKET_CAP = 1 / 2  # QQQ: in 2025, not in 2026

QUARTER_S = 91 * 86_400
FULL_NAMES = {
    "NMS": "NasdaqGS",
    "NGM": "NasdaqGM",
    "NCM": "NasdaqCM",
    "NYQ": "NYSE",
    "ASE": "NYSE American",
    "PCX": "NYSEArca",
    "BTS": "Cboe US",
    "OID": "OTC Markets OTCID",
}
COMPANIES = {"Common", "ADR", "Fund"}

MOVING = (
    "priceHint regularMarketChange regularMarketChangePercent regularMarketPrice regularMarketDayHigh "
    "regularMarketDayRange regularMarketDayLow regularMarketVolume regularMarketPreviousClose "
    "regularMarketOpen bid ask fulldayChange fulldayChangePercent fulldayPrice fiftyTwoWeekLowChange "
    "fiftyTwoWeekLowChangePercent fiftyTwoWeekRange fiftyTwoWeekHighChange fiftyTwoWeekHighChangePercent "
    "fiftyDayAverageChange fiftyDayAverageChangePercent twoHundredDayAverageChange "
    "twoHundredDayAverageChangePercent"
)


def float32(value: float) -> float:
    """Return a derived number with the eight digits that Yahoo's single precision shows."""
    return float(f"{value:.8g}")


def made_up(stock: Stock, market: Market) -> Facts:
    """Return the facts of one ticker at the market's second."""
    dice = random.Random(zlib.crc32(stock.origin.encode()))
    facts = _identity(stock, market) | _trading(stock, dice)
    if stock.listing.kind in COMPANIES:
        facts |= _company(stock.listing, market, dice)
    elif stock.listing.kind == "ETF":
        facts |= _fund(stock.listing, dice)
    if stock.listing.kind not in ("Warrant", "Right", "Unit"):
        facts |= _dividends(stock.listing, dice)
    if not market.is_open:
        facts |= dict.fromkeys(("postMarketTime", "postMarketPrice", "postMarketChange", "postMarketChangePercent"))
    # An absent ratio is a loss, a missing forecast or no book value: see quotes.py.
    if facts.get("epsTrailingTwelveMonths", 0) > 0:
        facts["trailingPE"] = None
    return facts | {"symbol": None}


def _identity(stock: Stock, market: Market) -> Facts:
    listing = stock.listing
    is_etf = listing.kind == "ETF"
    crc = zlib.crc32(stock.origin.encode())
    local = to_local(datetime.fromtimestamp(market.now_s, UTC))
    offset = local.utcoffset() or timedelta()
    return {
        "language": "en-US",
        "region": "US",
        "quoteType": "ETF" if is_etf else "EQUITY",
        "typeDisp": "ETF" if is_etf else "Equity",
        "quoteSourceName": "Delayed Quote",
        "triggerable": True,
        "customPriceAlertConfidence": "HIGH",
        "currency": "USD",
        "marketState": None,
        "corporateActions": [],
        "regularMarketTime": None,
        "exchange": listing.exchange,
        "messageBoardId": f"finmb_{crc % 10_000_000}",
        "exchangeTimezoneName": "America/New_York",
        "exchangeTimezoneShortName": local.tzname(),
        "gmtOffSetMilliseconds": offset // timedelta(milliseconds=1),
        "market": "us_market",
        "esgPopulated": False,
        "fullExchangeName": FULL_NAMES.get(listing.exchange, listing.exchange),
        "financialCurrency": "USD",
        "shortName": listing.name[:30],
        "longName": listing.name,
        "hasPrePostMarketData": True,
        "firstTradeDateMilliseconds": 1000 * (stock.listed_s or 400_000_000 + crc % 1_300_000_000),
        "sourceInterval": 15,
        "exchangeDataDelayedBy": 0,
        "tradeable": False,
        "cryptoTradeable": False,
    }


def _trading(stock: Stock, dice: random.Random) -> Facts:
    listing = stock.listing
    low, high = listing.price * dice.uniform(0.4, 0.95), listing.price * dice.uniform(1.05, 2.0)
    has_book = dice.random() >= HAS_NO_BOOK
    averages = {
        "fiftyDayAverage": round(listing.price * dice.uniform(0.9, 1.1), 4),
        "twoHundredDayAverage": round(listing.price * dice.uniform(0.8, 1.2), 4),
    }
    return {
        **dict.fromkeys(MOVING.split()),
        "bidSize": dice.randint(1, 40) if has_book else 0,
        "askSize": dice.randint(1, 40) if has_book else 0,
        "averageDailyVolume3Month": int(listing.daily_volume * dice.uniform(0.7, 1.3)),
        "averageDailyVolume10Day": int(listing.daily_volume * dice.uniform(0.7, 1.3)),
        "fiftyTwoWeekLow": round(low, stock.digits),
        "fiftyTwoWeekHigh": round(high, stock.digits),
        "fiftyTwoWeekChangePercent": float32(dice.uniform(-50, 80)),
        **averages,
    }


def _company(listing: Listing, market: Market, dice: random.Random) -> Facts:
    loses = dice.random() < LOSES_MONEY
    eps = round(listing.price * (-dice.uniform(0.01, 0.3) if loses else dice.uniform(0.01, 0.12)), 2) or 0.01
    shares = int((listing.market_cap_usd or 50_000_000) / listing.price) or 1
    facts: Facts = {
        "epsTrailingTwelveMonths": eps,
        "sharesOutstanding": shares,
        "impliedSharesOutstanding": shares,
        "bookValue": round(listing.price * dice.uniform(0.05, 1.5), 3) or 0.001,
        "priceToBook": None,
        "marketCap": None,
    }
    if dice.random() < HAS_FORECAST:
        facts |= {"epsForward": round(eps * 1.1, 5) or 0.001, "forwardPE": None}
    if dice.random() < HAS_YEAR_FORECAST:
        facts |= {"epsCurrentYear": round(eps * 1.02, 5) or 0.001, "priceEpsCurrentYear": None}
    if dice.random() < HAS_RATING:
        grade = dice.uniform(1, 4)
        word = ("Strong Buy", "Buy", "Hold", "Underperform")[int(grade + 0.5) - 1]
        facts["averageAnalystRating"] = f"{grade:.1f} - {word}"
    if dice.random() < HAS_DISPLAY_NAME:
        facts["displayName"] = listing.name.split(" Inc")[0].split(" Corp")[0][:24]
    if dice.random() < HAS_EARNINGS_DATE:
        facts |= _earnings_dates(market, dice)
    return facts


def _earnings_dates(market: Market, dice: random.Random) -> Facts:
    offset_s = dice.randrange(QUARTER_S // 3600) * 3600
    next_s = market.now_s + (offset_s - market.now_s) % QUARTER_S
    last_s = next_s - QUARTER_S
    return {
        "earningsTimestamp": last_s,
        "earningsTimestampStart": next_s,
        "earningsTimestampEnd": next_s,
        "earningsCallTimestampStart": last_s + 3600,
        "earningsCallTimestampEnd": last_s + 3600,
        "isEarningsDateEstimate": dice.random() < 0.5,
    }


def _fund(listing: Listing, dice: random.Random) -> Facts:
    shares = dice.randint(200_000, 400_000_000)
    facts: Facts = {
        "ytdReturn": float32(dice.uniform(-20, 40)),
        "trailingThreeMonthReturns": float32(dice.uniform(-10, 15)),
        "trailingThreeMonthNavReturns": float32(dice.uniform(-10, 15)),
        "netAssets": int(shares * listing.price),
        "netExpenseRatio": round(dice.uniform(0.03, 1.2), 2),
    }
    if dice.random() < ETF_HAS_EARNINGS:
        facts["epsTrailingTwelveMonths"] = round(listing.price / dice.uniform(10, 35), 6)
        facts |= {"sharesOutstanding": shares, "bookValue": round(listing.price / 2, 3), "priceToBook": None}
        if dice.random() < ETF_HAS_MARKET_CAP:
            facts["marketCap"] = None
    return facts


def _dividends(listing: Listing, dice: random.Random) -> Facts:
    pays = dice.random() < PAYS_DIVIDEND
    rate = round(listing.price * dice.uniform(0.004, 0.06), 3) if pays else 0.0
    facts: Facts = {"trailingAnnualDividendRate": round(rate * 0.97, 3)}
    if dice.random() < HAS_TRAILING_YIELD:
        facts["trailingAnnualDividendYield"] = 0
    if rate:
        facts |= {"dividendRate": rate, "dividendYield": None}
        if dice.random() < HAS_DIVIDEND_DATE:
            facts["dividendDate"] = 1_786_579_200  # 2026-08-13, as in AAPL's answer of 2026-10-03
    return facts
