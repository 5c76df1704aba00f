"""Yahoo's CSV files of bars, dividends and splits: the chart's answers in lines. Makes no number, does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from market.eastern import EASTERN, to_local
from simulator.answers import chart
from simulator.answers.facts import Facts
from simulator.answers.messages import Response
from simulator.world.walk import Market

CSV = "text/csv;charset=utf-8"
COLUMNS = ("open", "high", "low", "close", "adjclose", "volume")


def respond(market: Market, symbol: str, query: Mapping[str, str]) -> Response:
    """Return the file under /v7/finance/download/`symbol`: `events` is history, dividends or splits."""
    wanted = query.get("events", "history")
    asked = {"interval": "1d", **query, "events": {"dividends": "div", "splits": "split"}.get(wanted, "")}
    status, document = chart.answer(market, symbol, asked)
    if status != 200:
        error = document["chart"]["error"]
        words = f"{status} {error['code']}: {error['description']}"
        return Response(status=status, body=words.encode(), content_type="text/csv")
    head, lines = _MAKERS.get(wanted, _history)(document["chart"]["result"][0])
    return Response(
        status=200,
        body="\n".join([head, *lines]).encode(),
        content_type=CSV,
        headers={"content-disposition": f"attachment; filename={symbol}.csv"},
    )


def _history(result: Facts) -> tuple[str, Iterable[str]]:
    columns = {**result["indicators"]["quote"][0], **result["indicators"].get("adjclose", [{}])[0]}
    times, zone = result.get("timestamp", []), result["meta"]["exchangeTimezoneName"]
    rows = (
        (_day(at_s, zone), *(f"{columns[name][index]:.6f}" for name in COLUMNS[:-1]), str(columns["volume"][index]))
        for index, at_s in enumerate(times)
    )
    return "Date,Open,High,Low,Close,Adj Close,Volume", map(",".join, rows)


def _dividends(result: Facts) -> tuple[str, Iterable[str]]:
    paid = result.get("events", {}).get("dividends", {}).values()
    return "Date,Dividends", (f"{_day(each['date'])},{each['amount']:.6f}" for each in paid)


def _splits(result: Facts) -> tuple[str, Iterable[str]]:
    parted = result.get("events", {}).get("splits", {}).values()
    return "Date,Stock Splits", (f"{_day(each['date'])},{each['splitRatio']}" for each in parted)


def _day(at_s: int, zone: str = EASTERN) -> str:
    return f"{to_local(datetime.fromtimestamp(at_s, UTC), zone):%Y-%m-%d}"


_MAKERS: Mapping[str, Callable[[Facts], tuple[str, Iterable[str]]]] = {
    "history": _history,
    "dividends": _dividends,
    "splits": _splits,
}
