"""Yahoo's screener: queries over this market's tickers, page by page, and the predefined screens. Does no I/O."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator.answers.chart import Answer
from simulator.answers.facts import Facts
from simulator.answers.quotes import answer as quote_of
from simulator.answers.search import DIGITS
from simulator.answers.summary import industries
from simulator.world.walk import Market, Stock

PAGE, LARGEST_PAGE = 25, 250
TYPES = {"ETF": "ETF", "Crypto": "CRYPTOCURRENCY"}
Value = float | str | None

CHEAP: Mapping[str, Callable[[Stock], Value]] = {
    "ticker": lambda stock: stock.listing.symbol,
    "symbol": lambda stock: stock.listing.symbol,
    "region": lambda stock: "us",
    "exchange": lambda stock: stock.listing.exchange,
    "intradayprice": lambda stock: stock.price,
    "eodprice": lambda stock: stock.previous_close,
    "percentchange": lambda stock: stock.change_percent,
    "intradaypricechange": lambda stock: stock.change,
    "dayvolume": lambda stock: stock.volume,
    "eodvolume": lambda stock: stock.listing.daily_volume,
    "sector": lambda stock: industries().get(stock.origin, (None, None))[0],
    "industry": lambda stock: industries().get(stock.origin, (None, None))[1],
}
"""Fields that need no quote."""
FROM_QUOTE = {
    "intradaymarketcap": "marketCap",
    "lastclosemarketcap.lasttwelvemonths": "marketCap",
    "avgdailyvol3m": "averageDailyVolume3Month",
    "peratio.lasttwelvemonths": "trailingPE",
    "pricebookratio.quarterly": "priceToBook",
    "bookvalueshare.lasttwelvemonths": "bookValue",
    "fiftytwowkpercentchange": "fiftyTwoWeekChangePercent",
    "lastclose52weekhigh.lasttwelvemonths": "fiftyTwoWeekHigh",
    "lastclose52weeklow.lasttwelvemonths": "fiftyTwoWeekLow",
    "forward_dividend_per_share": "dividendRate",
    "forward_dividend_yield": "dividendYield",
    "eps.lasttwelvemonths": "epsTrailingTwelveMonths",
    "netepsbasic.lasttwelvemonths": "epsTrailingTwelveMonths",
    "fundnetassets": "netAssets",
    "annualreportnetexpenseratio": "netExpenseRatio",
}
OPERATORS: Mapping[str, Callable[[Any, list[Any]], bool]] = {
    "eq": lambda value, wanted: value == wanted[0],
    "is-in": lambda value, wanted: value in wanted,
    "gt": lambda value, wanted: value > wanted[0],
    "gte": lambda value, wanted: value >= wanted[0],
    "lt": lambda value, wanted: value < wanted[0],
    "lte": lambda value, wanted: value <= wanted[0],
    "btwn": lambda value, wanted: wanted[0] <= value <= wanted[1],
}
LARGE = {"operator": "gte", "operands": ["intradaymarketcap", 2_000_000_000]}
PREDEFINED: Mapping[str, tuple[str, str, str, list[Facts]]] = {
    "day_gainers": (
        "Day Gainers",
        "percentchange",
        "DESC",
        [{"operator": "gt", "operands": ["percentchange", 3]}, LARGE],
    ),
    "day_losers": (
        "Day Losers",
        "percentchange",
        "ASC",
        [{"operator": "lt", "operands": ["percentchange", -2.5]}, LARGE],
    ),
    "most_actives": (
        "Most Actives",
        "dayvolume",
        "DESC",
        [{"operator": "gt", "operands": ["dayvolume", 5_000_000]}, LARGE],
    ),
    "small_cap_gainers": (
        "Small Cap Gainers",
        "eodvolume",
        "DESC",
        [{"operator": "lt", "operands": ["intradaymarketcap", 2_000_000_000]}],
    ),
    "aggressive_small_caps": (
        "Aggresive small cap stocks",
        "eodvolume",
        "DESC",
        [
            {"operator": "lt", "operands": ["intradaymarketcap", 2_000_000_000]},
            {"operator": "is-in", "operands": ["exchange", "NMS", "NYQ"]},
        ],
    ),
    "top_etfs_us": ("Top ETFs", "percentchange", "DESC", [{"operator": "gt", "operands": ["intradayprice", 10]}]),
}
"""Name -> title, field and direction of the order, conditions."""


class BadQuery(Exception):
    """The body is no query; the text says what is wrong."""


def page(market: Market, body: bytes) -> Answer:
    """Return status and document for POST /v1/finance/screener."""
    try:
        asked = _document(body)
        offset, size = _whole(asked, "offset", 0), _whole(asked, "size", _whole(asked, "count", PAGE))
        if size > LARGEST_PAGE:
            raise BadQuery(f"size is too large. Max={LARGEST_PAGE}")
        found = _ranked(
            market,
            kind=str(asked.get("quoteType", "EQUITY")).upper(),
            query=asked.get("query", {}),
            field=str(asked.get("sortField", "ticker")).lower(),
            descending=str(asked.get("sortType", "DESC")).upper() == "DESC",
        )
    except (BadQuery, RecursionError) as bad:
        return 400, {"finance": {"result": None, "error": {"code": "Bad Request", "description": str(bad)}}}
    rows = _quotes(market, found[offset : offset + size])
    result = {"start": offset, "count": len(rows), "total": len(found), "quotes": rows, "useRecords": False}
    return 200, {"finance": {"result": [result], "error": None}}


def predefined(market: Market, query: Mapping[str, str]) -> Answer:
    """Return status and document for GET /v1/finance/screener/predefined/saved; it knows `start`, not `offset`."""
    name = query.get("scrIds", "").lower()
    if name not in PREDEFINED:
        said = f"No screener records found for {name or 'an empty scrIds'}"
        return 404, {"finance": {"result": None, "error": {"code": "Not Found", "description": said}}}
    title, field, order, conditions = PREDEFINED[name]
    kind = "ETF" if "etf" in name else "EQUITY"
    start, count = _number(query.get("start"), 0), min(_number(query.get("count"), PAGE), LARGEST_PAGE)
    tree = {"operator": "and", "operands": conditions}
    found = _ranked(market, kind=kind, query=tree, field=field, descending=order == "DESC")
    rows = _quotes(market, found[start : start + count])
    meta = {"size": count, "offset": start, "sortField": field, "sortType": order, "quoteType": kind}
    result = {
        "id": f"00000000-0000-0000-0000-{len(name):012d}",
        "title": title,
        "description": f"{title} of the practice market",
        "canonicalName": name.upper(),
        "criteriaMeta": {**meta, "criteria": [_criterion(each) for each in conditions], "topOperator": "AND"},
        "rawCriteria": json.dumps({**meta, "query": tree}),
        "start": start,
        "count": len(rows),
        "total": len(found),
        "quotes": rows,
        "useRecords": False,
        "predefinedScr": True,
        "versionId": 0,
        "creationDate": 1_473_802_201_682,
        "lastUpdated": 1_473_802_201_682,
        "isPremium": False,
        "iconUrl": "https://s.yimg.com/practice.png",
    }
    return 200, {"finance": {"result": [result], "error": None}}


def _criterion(condition: Facts) -> Facts:
    field, *values = condition["operands"]
    operator = condition["operator"].upper()
    return {
        "field": field,
        "subField": None,
        "operators": [operator],
        "values": values,
        "labelsSelected": [],
        "dependentValues": [],
    }


def _ranked(market: Market, *, kind: str, query: Any, field: str, descending: bool) -> list[Stock]:
    """Return who matches, in order; a ticker without the field of the order comes last."""
    row = _Row(market)
    found = [
        stock
        for stock in market.stocks.values()
        if stock.in_lists and TYPES.get(stock.listing.kind, "EQUITY") == kind and _matches(query, row.of(stock))
    ]
    keyed = [(row.of(stock)(field), stock) for stock in found]
    there = [pair for pair in keyed if pair[0] is not None]
    numbers = sorted((pair for pair in there if not isinstance(pair[0], str)), key=lambda pair: pair[0] or 0.0)
    texts = sorted((pair for pair in there if isinstance(pair[0], str)), key=lambda pair: str(pair[0]))
    ordered = [stock for _, stock in (*numbers, *texts)]
    missing = [stock for value, stock in keyed if value is None]
    return [*(ordered[::-1] if descending else ordered), *missing]


class _Row:
    """The fields of one ticker after another; a quote is made only for a field that needs it."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._stock: Stock | None = None
        self._quote: Facts | None = None

    def of(self, stock: Stock) -> Callable[[str], Value]:
        if stock is not self._stock:
            self._stock, self._quote = stock, None
        return self._value

    def _value(self, field: str) -> Value:
        assert self._stock is not None, "of() comes first"
        if field in CHEAP:
            return CHEAP[field](self._stock)
        if self._quote is None:
            self._quote = quote_of(self._market, self._stock.listing.symbol) or {}
        value = self._quote.get(FROM_QUOTE.get(field, field))
        return value if isinstance(value, (int, float, str)) else None


def _matches(query: Any, value_of: Callable[[str], Value]) -> bool:
    """Whether a ticker meets the query; one without the field does not."""
    if query == {}:
        return True
    if not isinstance(query, dict) or not isinstance(operands := query.get("operands"), list) or not operands:
        raise BadQuery("each query needs an operator and operands")
    operator = str(query.get("operator", "")).lower()
    if operator in ("and", "or"):
        return (all if operator == "and" else any)(_matches(each, value_of) for each in operands)
    if operator not in OPERATORS:
        raise BadQuery(f"Invalid operator: {operator}")
    field, *wanted = operands
    if not isinstance(field, str) or len(wanted) < (2 if operator == "btwn" else 1):
        raise BadQuery(f"{operator} needs a field and its values")
    value = value_of(field.lower())
    try:
        return value is not None and OPERATORS[operator](value, wanted)
    except TypeError as error:
        raise BadQuery(f"{field} cannot be compared with {wanted}") from error


def _quotes(market: Market, stocks: Iterable[Stock]) -> list[Facts]:
    """Return v7's rows with the two ratios that only the screener adds."""
    found = []
    for stock in stocks:
        dice = random.Random(f"screened {stock.origin}")
        ratios = {
            "lastCloseTevEbitLtm": round(dice.uniform(-20, 40), 6),
            "lastClosePriceToNNWCPerShare": round(dice.uniform(-8, 8), 6),
        }
        found.append((quote_of(market, stock.listing.symbol) or {}) | ratios)
    return found


def _document(body: bytes) -> Facts:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise BadQuery("the body is not JSON") from error
    if not isinstance(document, dict):
        raise BadQuery("the body is no query")
    return document


def _whole(document: Facts, key: str, default: int) -> int:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadQuery(f"{key} is no count: {value}")
    return value


def _number(text: str | None, default: int) -> int:
    return int(text[:DIGITS]) if text and text.isascii() and text.isdecimal() else default
