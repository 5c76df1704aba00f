"""Yahoo's fundamentals-timeseries answers: yearly, quarterly and trailing figures. Made up from the symbol, no I/O."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulator.answers.chart import Answer
from simulator.answers.facts import COMPANIES, Facts
from simulator.answers.quotes import fixed
from simulator.world.walk import Market, Stock

PERIODS = {"annual": "12M", "quarterly": "3M", "trailing": "TTM", "monthly": "1M"}
RATIOS = ("Ratio", "EPS", "AverageShares", "TaxRate")
"""A type whose name has one of these is a small number."""
YEARS_KEPT = 5


def answer(market: Market, symbol: str, query: Mapping[str, str]) -> Answer:
    """Return status and document for /ws/fundamentals-timeseries/v1/finance/timeseries/`symbol`."""
    types = [name for name in query.get("type", "").split(",") if name]
    stock = market.stocks.get(symbol)
    start, end = _day(query.get("period1"), 0), _day(query.get("period2"), market.now_s)
    if not types:
        return 200, {"timeseries": {"result": [_shares(market, stock, symbol, start, end)], "error": None}}
    result = [_series(stock, symbol, name, start, end) for name in types]
    return 200, {"timeseries": {"result": result, "error": None}}


def _series(stock: Stock | None, symbol: str, name: str, start: date, end: date) -> Facts:
    meta: Facts = {"meta": {"symbol": [symbol], "type": [name]}}
    period = next((prefix for prefix in PERIODS if name.startswith(prefix)), None)
    if stock is None or period is None or stock.listing.kind not in COMPANIES:
        return meta
    points = [(on, _point(stock, name, period, on)) for on in _ends(period, start, end)]
    if not points:
        return meta
    return meta | {"timestamp": [_midnight_s(on) for on, _ in points], name: [point for _, point in points]}


def _shares(market: Market, stock: Stock | None, symbol: str, start: date, end: date) -> Facts:
    """Return the count of shares at each quarter's end, which is what comes without a type."""
    meta: Facts = {"meta": {"symbol": [symbol], "type": ["shares_out"]}}
    shares = fixed(stock, market).get("sharesOutstanding") if stock else None
    stamps = [_midnight_s(on) for on in _ends("quarterly", start, end)]
    return meta | {"timestamp": stamps, "shares_out": [shares] * len(stamps)} if shares and stamps else meta


def _point(stock: Stock, name: str, period: str, on: date) -> Facts:
    dice = random.Random(f"{stock.origin} {name} {on}")
    if any(word in name for word in RATIOS):
        raw: float = round(dice.uniform(0.2, 4), 4)
    else:
        scale = (stock.listing.market_cap_usd or 50_000_000) * (0.02 if period == "quarterly" else 0.08)
        raw = round(scale * dice.uniform(0.5, 1.5), -3)
    return {
        "asOfDate": on.isoformat(),
        "periodType": PERIODS[period],
        "currencyCode": "USD",
        "dataId": 20_000 + sum(name.encode()) % 10_000,
        "reportedValue": {"raw": raw, "fmt": _short(raw)},
    }


def _ends(period: str, start: date, end: date) -> Iterator[date]:
    """Yield the last days of the periods in (start, end], as far back as figures are kept."""
    months = {"annual": 12, "quarterly": 3, "monthly": 1}.get(period)
    if months is None:
        # A trailing figure is of yesterday.
        if start <= (newest := end - timedelta(days=1)):
            yield newest
        return
    for year in range(max(start.year, end.year - YEARS_KEPT), end.year + 1):
        for month in range(months, 13, months):
            last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
            if start <= last <= end:
                yield last


def _midnight_s(on: date) -> int:
    return int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp())


def _short(value: float) -> str:
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.2f}{letter}"
    return f"{value:.2f}"


def _day(text: Any, default_s: int) -> date:
    """Return the day of a time in seconds; of no number the default's."""
    try:
        return datetime.fromtimestamp(int(text), UTC).date()
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(default_s, UTC).date()
