"""The v8 chart endpoint's history of daily bars, with its splits and dividends. Sends nothing, mends nothing.

Prices come as 32-bit floats widened to 64 bits, split-adjusted; `adjclose` is adjusted for dividends too. A day
without a trade has nulls for its numbers. A long range asked in days may be answered in months.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np
import orjson

from core.errors import FixByHand
from market.bars import DayBar
from market.eastern import EASTERN, local_date
from market.quality import CURRENCY
from market.units import finite, positive_or_none, utc_from_epoch_s
from yahoo.chart import url_of
from yahoo.quote import LARGEST_COUNT, BadAnswer, Refused

INTERVAL = "1d"
NO_TICKER = "No data found"
NO_DATES = "Data doesn't exist"
PRICES = ("open", "high", "low", "close")
PLAIN = frozenset({float, int, type(None)})
"""What NumPy takes for a number as `finite` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """`bars` by date, one a day; `splits`: date -> new shares for one old; `dividends`: date -> amount a share.

    `faults`: rule -> how many bars were left out for it, or, of no_adj_close, kept without that number. The newest
    bar may be of a session that is not over.
    """

    symbol: str
    bars: tuple[DayBar, ...]
    splits: Mapping[date, float]
    dividends: Mapping[date, float]
    faults: Counter[str]


def parse_history(body: bytes, *, asked: str) -> History:
    """Return the daily bars of an answer of status 200, 400 or 404; BadAnswer if it is no chart of days.

    Raises Refused: delisted, no_data (not in these dates), no_quotes, foreign, currency or granularity.
    """
    result = _result(body, asked)
    meta = result["meta"]
    _check_meta(meta, asked)
    zone = meta.get("exchangeTimezoneName") or EASTERN
    faults: Counter[str] = Counter()
    try:
        bars = {bar.session_date: bar for bar in _bars(result, zone, faults)}
        splits, dividends = _events(result, "splits", zone, _ratio), _events(result, "dividends", zone, _amount)
    except (TypeError, AttributeError, KeyError, IndexError, FixByHand) as error:
        raise BadAnswer("the answer is not a v8 chart document", where=url_of(asked)) from error
    if not bars and not faults:
        raise Refused("no_quotes", where=url_of(asked))
    ordered = tuple(bars[on] for on in sorted(bars))
    return History(symbol=asked, bars=ordered, splits=splits, dividends=dividends, faults=faults)


def _result(body: bytes, asked: str) -> Mapping[str, Any]:
    try:
        chart = orjson.loads(body)["chart"]
        error, result = chart.get("error"), chart.get("result")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
        raise BadAnswer("the answer is not a v8 chart document", where=url_of(asked)) from fault
    if error:
        _raise_said(error, asked)
    if not isinstance(result, list) or not result or not isinstance(result[0], dict):
        raise Refused("no_quotes", where=url_of(asked))
    if not isinstance(result[0].get("meta"), dict) or not isinstance(result[0].get("indicators"), dict):
        raise BadAnswer("the answer is not a v8 chart document", where=url_of(asked))
    found: Mapping[str, Any] = result[0]
    return found


def _raise_said(error: Any, asked: str) -> None:
    said = str(error.get("description")) if isinstance(error, dict) else str(error)
    for start, reason in ((NO_TICKER, "delisted"), (NO_DATES, "no_data")):
        if said.startswith(start):
            raise Refused(reason, where=url_of(asked), said=said)
    raise BadAnswer(f"it says: {said[:200]}", where=url_of(asked))


def _check_meta(meta: Mapping[str, Any], asked: str) -> None:
    if meta.get("symbol") != asked:
        raise Refused("foreign", where=url_of(asked), said=f"an answer for {meta.get('symbol')}")
    if meta.get("currency") not in (None, CURRENCY):
        raise Refused("currency", where=url_of(asked), said=str(meta.get("currency")))
    if meta.get("dataGranularity") not in (None, INTERVAL):
        raise Refused("granularity", where=url_of(asked), said=str(meta.get("dataGranularity")))


def _bars(result: Mapping[str, Any], zone: str, faults: Counter[str]) -> Iterator[DayBar]:
    times = result.get("timestamp") or []
    indicators = result["indicators"]
    quote = (indicators.get("quote") or [{}])[0] or {}
    adjusted = ((indicators.get("adjclose") or [{}])[0] or {}).get("adjclose") or []
    if not quote and times:
        faults["no_quotes"] += len(times)
        return
    told = [list(quote.get(name) or []) for name in PRICES]
    prices = [_prices(column) for column in (*told, list(adjusted))]
    rows = zip_longest(times, *prices, quote.get("volume") or [])
    for place, (at_s, opened, high, low, close, adj_close, volume) in enumerate(rows):
        on = _date_of(at_s, zone) if at_s is not None else None
        if on is None:
            faults["no_time"] += 1
        elif opened is None or high is None or low is None or close is None:
            has_number = any(column[place] is not None for column in told if place < len(column))
            faults["incomplete" if has_number else "no_trade"] += 1
        elif not (low <= opened <= high and low <= close <= high):
            faults["order"] += 1
        else:
            if adj_close is None:
                faults["no_adj_close"] += 1
            yield DayBar(on, opened, high, low, close, adj_close, _shares(volume))


def _prices(column: Sequence[Any]) -> list[float | None]:
    """Return each price as the shortest decimal that is the same 32-bit float; None for what is no price.

    As `shortest_float32` finds it, a whole column in a tenth of the time: orjson spells NumPy's 32-bit floats so.
    """
    if not PLAIN.issuperset(map(type, column)):
        column = [finite(number) for number in column]
    with np.errstate(over="ignore"):
        narrow = np.array(column, dtype=np.float64).astype(np.float32)
    spelled: list[float | None] = orjson.loads(orjson.dumps(narrow, option=orjson.OPT_SERIALIZE_NUMPY))
    return [price if price is not None and price > 0.0 else None for price in spelled]


def _shares(told: Any) -> int | None:
    volume = told if type(told) is int else finite(told)
    return int(volume) if volume is not None and 0 <= volume <= LARGEST_COUNT else None


@lru_cache(maxsize=8192)  # all tickers have their bars at the same few thousand moments
def _date_of(at_s: float, zone: str) -> date | None:
    at = utc_from_epoch_s(at_s)
    return local_date(at, zone) if at is not None else None


def _events(result: Mapping[str, Any], kind: str, zone: str, value_of: Any) -> dict[date, float]:
    told = (result.get("events") or {}).get(kind) or {}
    found = {}
    for event in told.values():
        on, value = _date_of(event.get("date"), zone) if event.get("date") is not None else None, value_of(event)
        if on is not None and value is not None:
            found[on] = value
    return found


def _ratio(event: Mapping[str, Any]) -> float | None:
    new, old = positive_or_none(event.get("numerator")), positive_or_none(event.get("denominator"))
    return new / old if new is not None and old is not None else None


def _amount(event: Mapping[str, Any]) -> float | None:
    return positive_or_none(event.get("amount"))
