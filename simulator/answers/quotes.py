"""The v7 quote of a ticker: its facts, recorded or made up, with the walk's numbers put in. Moves no price.

A recorded answer keeps its key set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from simulator.answers.facts import Facts, float32, made_up
from simulator.world.listings import DATA
from simulator.world.walk import Market, Stock

SHELL = "BRKS"
"""The recorded answer for a delisted ticker; each has these keys."""
PER_SHARE = {
    "epsTrailingTwelveMonths",
    "epsForward",
    "epsCurrentYear",
    "bookValue",
    "dividendRate",
    "trailingAnnualDividendRate",
    "fiftyDayAverage",
    "twoHundredDayAverage",
    "fiftyTwoWeekLow",
    "fiftyTwoWeekHigh",
}
SHARES = {"sharesOutstanding", "impliedSharesOutstanding", "averageDailyVolume3Month", "averageDailyVolume10Day"}
ALWAYS = frozenset(
    {
        "language",
        "region",
        "quoteType",
        "typeDisp",
        "quoteSourceName",
        "triggerable",
        "customPriceAlertConfidence",
        "marketState",
        "regularMarketPrice",
        "regularMarketTime",
        "tradeable",
        "cryptoTradeable",
        "exchange",
        "exchangeTimezoneName",
        "exchangeTimezoneShortName",
        "gmtOffSetMilliseconds",
        "market",
        "esgPopulated",
        "priceHint",
        "fullExchangeName",
        "sourceInterval",
        "exchangeDataDelayedBy",
        "hasPrePostMarketData",
        "firstTradeDateMilliseconds",
        "symbol",
    }
)
"""What Yahoo sends whatever the `fields` parameter says (TSLA, fields=symbol, 2025-02-17)."""


@cache
def recorded() -> dict[str, Facts]:
    """Return symbol -> recorded v7 answer."""
    return {facts["symbol"]: facts for facts in json.loads((DATA / "v7_quotes.json").read_bytes())}


def answer(market: Market, symbol: str) -> Facts | None:
    """Return the v7 result of `symbol` as of the market's second; None if it is unknown."""
    stock = market.stocks.get(symbol)
    if stock is None:
        return _shell(market, symbol)
    facts = fixed(stock, market)
    moving = _moving(stock, market) | _ratios(stock, facts)
    return {key: whole(moving.get(key, value)) for key, value in facts.items()}


def fixed(stock: Stock, market: Market) -> Facts:
    """Return what does not change with a trade; a key whose value does may hold None."""
    facts = recorded().get(stock.origin)
    if facts is None or facts["quoteType"] == "NONE":
        facts = made_up(stock, market)
    if not stock.splits and not stock.dividends:
        return facts
    ratio = stock.split_ratio
    split = {key: round(facts[key] / ratio, 6) for key in PER_SHARE & facts.keys() if facts[key]}
    more = {key: round(facts[key] * ratio) for key in SHARES & facts.keys()}
    paid = sum(usd for _, usd in stock.dividends)
    trailing: float = split.get("trailingAnnualDividendRate", 0.0) + paid
    return facts | split | more | {"trailingAnnualDividendRate": round(trailing, 4)}


def year_range(stock: Stock, facts: Facts) -> tuple[float, float]:
    """Return the lowest and the highest price of 52 weeks."""
    begun = stock.anchor or stock.price
    low = min(facts.get("fiftyTwoWeekLow", begun), begun, stock.low, stock.lowest)
    return low, max(facts.get("fiftyTwoWeekHigh", begun), begun, stock.high, stock.highest)


def _shell(market: Market, symbol: str) -> Facts | None:
    """A delisted ticker is still answered: quoteType NONE and no price."""
    facts = recorded().get(symbol)
    if facts is not None and facts["quoteType"] == "NONE":
        return facts
    return recorded()[SHELL] | {"symbol": symbol} if symbol in market.delisted else None


def only(quote: Mapping[str, Any], fields: frozenset[str]) -> Facts:
    """Return what is left of `quote` under the request's `fields`."""
    return {key: value for key, value in quote.items() if key in ALWAYS or key in fields}


def whole(value: Any) -> Any:
    """Return 241 for 241.0: Yahoo's JSON has no decimals on whole numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moving(stock: Stock, market: Market) -> Facts:
    """Return what changes with each trade."""
    price, digits = stock.price, stock.digits
    spread = max(10.0**-digits, round(price * 0.0004, digits))
    full_day = {"fulldayPrice": price, "fulldayChange": stock.change, "fulldayChangePercent": stock.change_percent}
    evening_s = market.hours.open_s if market.is_open else market.hours.close_s
    return {
        "symbol": stock.listing.symbol,
        "marketState": "REGULAR" if stock is market.canary else market.phase,
        "priceHint": digits,
        "regularMarketTime": stock.trade_time_s,
        "regularMarketPrice": price,
        "regularMarketChange": stock.change,
        "regularMarketChangePercent": float32(stock.change_percent),
        "regularMarketOpen": stock.open,
        "regularMarketDayHigh": stock.high,
        "regularMarketDayLow": stock.low,
        "regularMarketDayRange": f"{stock.low} - {stock.high}",
        "regularMarketVolume": stock.volume,
        "regularMarketPreviousClose": stock.previous_close,
        "bid": round(price - spread, digits),
        "ask": round(price + spread, digits),
        # Nothing trades in the evening here: the last price of the session stands.
        "postMarketTime": evening_s,
        "postMarketPrice": price,
        "postMarketChange": 0,
        "postMarketChangePercent": 0,
        **{key: float32(value) for key, value in full_day.items()},
    }


def _ratios(stock: Stock, facts: Facts) -> Facts:
    """Return what follows from the price and the fixed facts."""
    price = stock.price
    year_low, year_high = year_range(stock, facts)
    found: Facts = {
        "fiftyTwoWeekLow": year_low,
        "fiftyTwoWeekHigh": year_high,
        "fiftyTwoWeekRange": f"{year_low} - {year_high}",
    }
    if not facts.get("bidSize", 1):
        found |= {"bid": 0, "ask": 0}
    levels = {"fiftyTwoWeekLow": year_low, "fiftyTwoWeekHigh": year_high}
    for key in ("fiftyDayAverage", "twoHundredDayAverage"):
        levels[key] = facts.get(key, price)
    for key, level in levels.items():
        found[f"{key}Change"] = float32(price - level)
        found[f"{key}ChangePercent"] = float32((price - level) / level)
    per_share = {
        "trailingPE": "epsTrailingTwelveMonths",
        "forwardPE": "epsForward",
        "priceEpsCurrentYear": "epsCurrentYear",
        "priceToBook": "bookValue",
    }
    for ratio, base in per_share.items():
        if facts.get(base):
            found[ratio] = float32(price / facts[base])
    for shares in ("sharesOutstanding", "circulatingSupply"):
        if shares in facts:
            found["marketCap"] = int(facts[shares] * price)
    # Two units in one answer: dividendYield is percent, trailingAnnualDividendYield a fraction.
    if facts.get("dividendRate"):
        found["dividendYield"] = round(100 * facts["dividendRate"] / price, 2)
    if rate := facts.get("trailingAnnualDividendRate"):
        found["trailingAnnualDividendYield"] = float32(rate / stock.previous_close)
    return found
