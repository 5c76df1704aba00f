"""Yahoo's option chains of this market's tickers: made up on request around the true price. Does no I/O."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from simulator.answers.chart import Answer
from simulator.answers.facts import COMPANIES, Facts
from simulator.answers.quotes import answer as quote_of
from simulator.answers.quotes import whole
from simulator.world.walk import Market, Stock

WEEKS, MONTHS = 6, 8
"""So many Fridays in a row have options, and so many third Fridays."""
LEAST_USD = 20_000_000
"""Of less a day there are no options: AFRAF's chain is empty, BEKE's is not."""
FRIDAY = 4
DAYS_A_YEAR = 365
STRIKES_EACH_WAY = 15
STEPS_USD = ((25, 0.5), (100, 1.0), (250, 2.5), (1_000, 5.0))
"""Up to this price the strikes lie so far apart; above, a hundredth of the price."""
HAS_VOLUME, HAS_OPEN_INTEREST = 579 / 612, 607 / 612
"""Share of the recorded contracts (2025-02) that have the key."""


def answer(market: Market, symbol: str, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v7/finance/options/`symbol`: one expiration, the next unless `date` says."""
    quote = quote_of(market, symbol)
    if quote is None:
        return 200, {"optionChain": {"result": [], "error": None}}
    stock = market.stocks.get(symbol)
    dates = _expirations(market) if stock and _has_options(stock) else []
    strikes = _strikes(stock.price) if stock and dates else []
    wanted_s = _seconds(query.get("date")) or (dates[0] if dates else 0)
    if wanted_s not in dates:
        strikes = []
    result = {
        "underlyingSymbol": symbol,
        "expirationDates": dates,
        "strikes": [whole(strike) for strike in strikes],
        "hasMiniOptions": False,
        "quote": quote,
        "options": [_chain(market, stock, strikes, wanted_s)] if stock and dates else [],
    }
    return 200, {"optionChain": {"result": [result], "error": None}}


def _has_options(stock: Stock) -> bool:
    listing = stock.listing
    return listing.kind in {*COMPANIES, "ETF"} and listing.daily_volume * listing.price >= LEAST_USD


def _seconds(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 12 else 0


def _expirations(market: Market) -> list[int]:
    """Return midnights of UTC, in order."""
    today = datetime.fromtimestamp(market.now_s, UTC).date()
    friday = today + timedelta((FRIDAY - today.weekday()) % 7)
    weekly = [friday + timedelta(weeks=week) for week in range(WEEKS)]
    monthly = [_third_friday(today.year * 12 + today.month - 1 + month) for month in range(MONTHS)]
    days = sorted({*weekly, *(day for day in monthly if day >= today)})
    return [int(datetime.combine(day, time(), UTC).timestamp()) for day in days]


def _third_friday(month: int) -> date:
    """`month`: months since the year 0."""
    first = date(month // 12, month % 12 + 1, 1)
    return first + timedelta((FRIDAY - first.weekday()) % 7 + 14)


def _strikes(price: float) -> list[float]:
    step = next((step for most, step in STEPS_USD if price <= most), round(price / 100))
    middle = round(price / step)
    return [round(number * step, 2) for number in range(max(1, middle - STRIKES_EACH_WAY), middle + STRIKES_EACH_WAY)]


def _chain(market: Market, stock: Stock, strikes: list[float], expires_s: int) -> Facts:
    sides = {
        name: [_contract(market, stock, strike, expires_s, side=side) for strike in strikes]
        for name, side in (("calls", "C"), ("puts", "P"))
    }
    return {"expirationDate": expires_s, "hasMiniOptions": False, **sides}


def _contract(market: Market, stock: Stock, strike: float, expires_s: int, *, side: str) -> Facts:
    day = datetime.fromtimestamp(expires_s, UTC)
    name = f"{stock.listing.symbol.replace('-', '')}{day:%y%m%d}{side}{round(strike * 1000):08d}"
    dice = random.Random(f"{market.seed} {name}")
    inside = stock.price - strike if side == "C" else strike - stock.price
    volatility = dice.uniform(0.15, 0.8)
    years = max(0, expires_s - market.now_s) / DAYS_A_YEAR / 86_400
    spread = volatility * math.sqrt(years) * stock.price + 0.01
    # At the money an option is worth about 0.4 of that spread, elsewhere less.
    value = max(0.0, inside) + 0.4 * spread * math.exp(-((inside / spread) ** 2) / 2)
    last = max(0.01, round(value, 2))
    contract = {
        "contractSymbol": name,
        "strike": whole(strike),
        "currency": "USD",
        "lastPrice": whole(last),
        "change": 0,
        "percentChange": 0,
    }
    if dice.random() < HAS_VOLUME:
        contract["volume"] = dice.randint(1, 5_000)
    if dice.random() < HAS_OPEN_INTEREST:
        contract["openInterest"] = dice.randint(0, 20_000)
    return contract | {
        "bid": whole(round(0.97 * last, 2)),
        "ask": whole(round(1.03 * last + 0.01, 2)),
        "contractSize": "REGULAR",
        "expiration": expires_s,
        "lastTradeDate": stock.trade_time_s - dice.randrange(3_600),
        "impliedVolatility": volatility,
        "inTheMoney": inside > 0,
    }
