"""Yahoo's search, trending, recommendation and spark answers, of this market's tickers. Does no I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping

from simulator.answers import chart
from simulator.answers.chart import Answer
from simulator.answers.facts import FULL_NAMES, Facts
from simulator.answers.summary import industries
from simulator.world.walk import Market, Stock

QUOTES, NEWS, TRENDING, RECOMMENDED = 6, 4, 5, 5
"""How many there are of each if nobody says."""
SHOWN_EXCHANGES = {"NMS": "NASDAQ", "NGM": "NASDAQ", "NCM": "NASDAQ"}
DIGITS = 9
"""More of a count is not read."""
TYPES = {"ETF": ("ETF", "ETF"), "Crypto": ("CRYPTOCURRENCY", "Cryptocurrency")}
TIMES_TAKEN = {
    "totalTime": 30,
    "timeTakenForQuotes": 420,
    "timeTakenForNews": 700,
    "timeTakenForAlgowatchlist": 400,
    "timeTakenForPredefinedScreener": 400,
    "timeTakenForCrunchbase": 400,
    "timeTakenForNav": 400,
    "timeTakenForResearchReports": 0,
    "timeTakenForScreenerField": 0,
    "timeTakenForCulturalAssets": 0,
    "timeTakenForSearchLists": 0,
}


def search(market: Market, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v1/finance/search: tickers by symbol or name, and news made of the first."""
    if "q" not in query:
        return _error(400, "Bad Request", "Missing required query parameter=q")
    found = _found(market, query["q"])[: _count(query.get("quotesCount"), QUOTES)]
    news = [
        _news(market, stock, number) for stock in found[:1] for number in range(_count(query.get("newsCount"), NEWS))
    ]
    lists: Facts = {"nav": [], "lists": [], "researchReports": [], "screenerFieldResults": []}
    quotes = [_quote(stock, rank) for rank, stock in enumerate(found)]
    return 200, {
        "explains": [],
        "count": len(quotes) + len(news),
        "quotes": quotes,
        "news": news,
        **lists,
    } | TIMES_TAKEN


def trending(market: Market, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v1/finance/trending/REGION: who has moved most, in dollars traded."""
    ranked = sorted(market.stocks.values(), key=lambda stock: -abs(stock.change_percent) * stock.volume * stock.price)
    names = [stock.listing.symbol for stock in ranked[: _count(query.get("count"), TRENDING)]]
    result = {
        "count": len(names),
        "quotes": [{"symbol": name} for name in names],
        "jobTimestamp": market.now_s * 1000,
        "startInterval": market.now_s // 3600,
    }
    return 200, {"finance": {"result": [result], "error": None}}


def recommendations(market: Market, symbols: str) -> Answer:
    """Return status and document for /v6/finance/recommendationsbysymbol/`symbols`; 404 if none is known."""
    listed = sorted(market.stocks)
    result = []
    for symbol in symbols.split(","):
        if symbol in market.stocks and symbol != market.canary.listing.symbol:
            dice = random.Random(f"recommended {symbol}")
            others = [name for name in dice.sample(listed, min(RECOMMENDED + 1, len(listed))) if name != symbol]
            pairs = [{"symbol": name, "score": round(0.3 - rank / 50, 6)} for rank, name in enumerate(others)]
            result.append({"symbol": symbol, "recommendedSymbols": pairs[:RECOMMENDED]})
    return (200 if result else 404), {"finance": {"result": result, "error": None}}


def spark(market: Market, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v7/finance/spark: the closes of charts, a ticker each."""
    result = []
    for symbol in query.get("symbols", "").split(","):
        status, document = chart.answer(market, symbol, {"range": "5d", "interval": "1d", **query})
        if status == 200:
            whole = document["chart"]["result"][0]
            closes = {key: value for key, value in whole["indicators"]["quote"][0].items() if key == "close"}
            result.append({"symbol": symbol, "response": [whole | {"indicators": {"quote": [closes]}}]})
    if not result:
        return 404, {"spark": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}
    return 200, {"spark": {"result": result, "error": None}}


def _found(market: Market, text: str) -> list[Stock]:
    """Return who matches, best first: the symbol itself, symbols that begin so, names that hold it."""
    wanted = text.strip().upper()
    if not wanted:
        return []
    exact, begins, named = [], [], []
    for stock in market.stocks.values():
        if stock.listing.symbol == wanted:
            exact.append(stock)
        elif stock.listing.symbol.startswith(wanted):
            begins.append(stock)
        elif wanted in stock.listing.name.upper():
            named.append(stock)
    return [*exact, *sorted(begins, key=_rank), *sorted(named, key=_rank)]


def _rank(stock: Stock) -> float:
    return -stock.volume * stock.price


def _quote(stock: Stock, rank: int) -> Facts:
    listing = stock.listing
    kind, shown = TYPES.get(listing.kind, ("EQUITY", "Equity"))
    exchange = SHOWN_EXCHANGES.get(listing.exchange) or FULL_NAMES.get(listing.exchange, listing.exchange)
    quote: Facts = {
        "exchange": listing.exchange,
        "shortname": listing.name[:30],
        "quoteType": kind,
        "symbol": listing.symbol,
        "index": "quotes",
        "score": 2_000_000 - 1_000 * rank,
        "typeDisp": shown,
        "longname": listing.name,
        "exchDisp": exchange,
    }
    if kind == "EQUITY" and stock.origin in industries():
        sector, industry = industries()[stock.origin]
        quote |= {"sector": sector, "sectorDisp": sector, "industry": industry, "industryDisp": industry}
    return quote | {"isYahooFinance": True}


def _news(market: Market, stock: Stock, number: int) -> Facts:
    dice = random.Random(f"news {stock.origin} {number}")
    return {
        "uuid": f"{dice.getrandbits(32):08x}-0000-0000-0000-{number:012d}",
        "title": f"Practice news {number + 1} about {stock.listing.symbol}",
        "publisher": "Practice Press",
        "link": f"https://finance.yahoo.com/news/practice-{stock.listing.symbol.lower()}-{number}.html",
        "providerPublishTime": market.now_s - dice.randrange(3 * 86_400),
        "type": "STORY",
        "relatedTickers": [stock.listing.symbol],
    }


def _count(text: str | None, default: int) -> int:
    return min(int(text[:DIGITS]), 250) if text and text.isascii() and text.isdecimal() else default


def _error(status: int, code: str, description: str) -> Answer:
    return status, {"finance": {"result": None, "error": {"code": code, "description": description}}}
