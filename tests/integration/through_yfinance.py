"""Run by test_yfinance.py as a process of its own: what unmodified yfinance sees, as one JSON document.

The proxy and its CA come in the environment, as any user of yfinance would set them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any

import yfinance as yf


def table(frame: Any) -> dict[str, Any]:
    """Return columns and rows of a data frame with one ticker."""
    if frame.empty:
        return {"at_s": [], "columns": {}}
    return {
        "at_s": [int(at.timestamp()) for at in frame.index],
        "columns": {str(name): [float(value) for value in frame[name]] for name in frame.columns},
    }


def history(symbol: str, **asked: Any) -> dict[str, Any]:
    found = yf.download(
        symbol, progress=False, threads=False, auto_adjust=False, actions=True, multi_level_index=False, **asked
    )
    return table(found)


def screens() -> dict[str, Any]:
    query = yf.EquityQuery("and", [yf.EquityQuery("eq", ["region", "us"]), yf.EquityQuery("gt", ["intradayprice", 0])])
    pages = [yf.screen(query, offset=offset, size=50, sortField="ticker", sortAsc=True) for offset in range(0, 200, 50)]
    return {
        "predefined": yf.screen("most_actives", count=5),
        "symbols": [row["symbol"] for page in pages for row in page["quotes"]],
        "total": pages[0]["total"],
    }


def everything(symbols: list[str]) -> dict[str, Any]:
    apple = yf.Ticker("AAPL")
    return {
        "info": {symbol: yf.Ticker(symbol).info for symbol in symbols},
        "daily": {symbol: history(symbol, period="2y") for symbol in symbols[:20]},
        "minutes": {symbol: history(symbol, period="1d", interval="1m") for symbol in symbols[:20]},
        "five_days": history("AAPL", period="5d", interval="5m"),
        "weekly": history("AAPL", period="6mo", interval="1wk"),
        "hourly": history("AAPL", period="1mo", interval="1h"),
        "unknown": table(yf.Ticker("NO-SUCH").history()),
        "unknown_info": yf.Ticker("NO-SUCH").info,
        "screens": screens(),
        "calendar_keys": sorted(apple.calendar),
        "dividends": [float(value) for value in apple.dividends],
        "found": [row["symbol"] for row in yf.Search("AAPL", news_count=2).quotes],
        "income_rows": len(apple.income_stmt),
        "shares": apple.fast_info.shares,
    }


async def stream(symbols: list[str], count: int) -> list[dict[str, Any]]:
    """Return the first `count` messages of an AsyncWebSocket."""
    messages: list[dict[str, Any]] = []
    enough = asyncio.Event()

    def handle(message: dict[str, Any]) -> None:
        messages.append(message)
        if len(messages) >= count:
            enough.set()

    async with yf.AsyncWebSocket(verbose=False) as socket:
        await socket.subscribe(symbols)
        listening = asyncio.ensure_future(socket.listen(handle))
        await asyncio.wait_for(enough.wait(), 60)
        listening.cancel()
    return messages


def main(what: str, symbols: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        yf.set_tz_cache_location(folder)
        if what == "everything":
            document: Any = everything(symbols)
        elif what == "stream":
            document = asyncio.run(stream(symbols, count=4 * len(symbols)))
        else:
            document = yf.Ticker(symbols[0]).info
        sys.stdout.write(json.dumps(document))


main(sys.argv[1], sys.argv[2:])
