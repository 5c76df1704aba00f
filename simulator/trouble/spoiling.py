"""Answers made wrong: a true JSON document goes in, a spoiled one comes out. Does no I/O."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from simulator.trouble.catalogue import Fault

NOBODY = "ZVZZT"
"""Nasdaq's test ticker."""
_NO_AMOUNT = re.compile(r"time|date|milliseconds|hint|interval|delayed|age|size", re.IGNORECASE)
"""Keys whose numbers are not prices or amounts: who tampers leaves them, or he would be found at once."""
_PRICES = ("regularMarketPrice", "close")


def spoil(body: bytes, fault: Fault) -> bytes:
    """Return the JSON `body` as `fault` leaves it; what is no JSON stays as it is."""
    if fault.kind.name == "truncate":
        return body[: fault.whole("at_bytes")]
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_SPOILERS[fault.kind.name](document, fault), separators=(",", ":")).encode()


def _wrong_ticker(document: Any, _fault: Fault) -> Any:
    symbols = list(dict.fromkeys(each["symbol"] for each in _objects(document) if isinstance(each.get("symbol"), str)))
    following = dict(pairwise([*symbols, *symbols[:1]])) if len(symbols) > 1 else dict.fromkeys(symbols, NOBODY)
    for each in _objects(document):
        if isinstance(each.get("symbol"), str):
            each["symbol"] = following[each["symbol"]]
    return document


def _missing_tickers(document: Any, fault: Fault) -> Any:
    gone = fault.texts("symbols")
    for each in _objects(document):
        for key in ("result", "quotes"):  # a screener's rows are a level deeper
            if isinstance(rows := each.get(key), list) and all("symbol" in row for row in rows):
                each[key] = [row for row in rows if row["symbol"] not in gone] if gone else rows[::2]
    return document


def _hollow(document: Any, fault: Fault) -> Any:
    what = fault.text("what")
    for each in _objects(document):
        rows = each.get("result")
        if isinstance(rows, list) and what == "modules" and "quoteSummary" in document:
            each["result"] = [{name: {} for name in row} for row in rows]
        if what == "times" and isinstance(times := each.get("timestamp"), list):
            each["timestamp"] = [None if number % 3 == 1 else at_s for number, at_s in enumerate(times)]
        if what == "quotes" and "indicators" in each:
            each["indicators"]["quote"] = [{}]
        if what == "adjclose":
            each.pop("adjclose", None)
        if what == "cents" and isinstance(each.get("close"), list):
            for name in ("open", "high", "low", "close"):
                middle = len(each[name]) // 2
                each[name] = [price and 100 * price for price in each[name][:middle]] + each[name][middle:]
    return document


def _unit_change(document: Any, fault: Fault) -> Any:
    key, factor = fault.text("key"), fault.seconds("factor")
    return _scaled(document, "", lambda name: factor if name == key else 1)


def _tamper_all(document: Any, fault: Fault) -> Any:
    factor = fault.seconds("factor")
    return _scaled(document, "", lambda name: 1 if not name or _NO_AMOUNT.search(name) else factor)


def _tamper_one(document: Any, fault: Fault) -> Any:
    places = list(_prices(document))
    if places:
        holder, key = places[zlib.crc32(repr(document).encode()) % len(places)]
        holder[key] = round(holder[key] * fault.seconds("factor"), 4)
    return document


def _prices(document: Any) -> Iterator[tuple[Any, Any]]:
    """Return where each price stands: (object or list, key or index)."""
    for each in _objects(document):
        for key in _PRICES:
            value = each.get(key)
            if isinstance(value, dict) and "raw" in value:
                yield value, "raw"
            elif isinstance(value, list):
                yield from ((value, index) for index, price in enumerate(value) if isinstance(price, int | float))
            elif isinstance(value, int | float):
                yield each, key


def _scaled(value: Any, name: str, factor_of: Callable[[str], float]) -> Any:
    """Return `value` with each number times the factor of the key that it stands under."""
    if isinstance(value, dict):
        # {"raw": 1.5, "fmt": "1.50"} is the number of the key that holds it.
        return {key: _scaled(each, name if key == "raw" else key, factor_of) for key, each in value.items()}
    if isinstance(value, list):
        return [_scaled(each, name, factor_of) for each in value]
    factor = factor_of(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or factor == 1:
        return value
    return type(value)(value * factor) if isinstance(value, int) else round(value * factor, 6)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Return every JSON object within `value`, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


_SPOILERS: dict[str, Callable[[Any, Fault], Any]] = {
    "wrong_ticker": _wrong_ticker,
    "missing_tickers": _missing_tickers,
    "hollow": _hollow,
    "unit_change": _unit_change,
    "tamper_all": _tamper_all,
    "tamper_one": _tamper_one,
}
SPOILING = frozenset({"truncate", *_SPOILERS})
