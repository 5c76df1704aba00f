"""The v8 chart endpoint, as far as one small question goes: what it says of a ticker's last days. Sends nothing.

It needs no cookie and no crumb, and the days that are over never change: two sources can be compared by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson

from market.units import positive_or_none, utc_from_epoch_s
from yahoo.quote import BadAnswer

QUERY = {"range": "5d", "interval": "1d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`price` of `price_time`; `closes`: start of each session that is over, in epoch seconds -> its close."""

    symbol: str
    price: float | None
    price_time: datetime | None
    closes: Mapping[int, float]


def url_of(symbol: str) -> str:
    return f"https://query1.finance.yahoo.com/v8/finance/chart/{symbol}"


def parse_chart(body: bytes) -> Chart | None:
    """Return what the answer says, None if of no ticker; BadAnswer if it is no chart document."""
    try:
        result = orjson.loads(body)["chart"]["result"]
        return _chart(result[0]) if result else None
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BadAnswer("the answer is not a v8 chart document", where=url_of("")) from error


def _chart(result: Mapping[str, Any]) -> Chart:
    meta = result["meta"]
    return Chart(
        symbol=str(meta["symbol"]),
        price=positive_or_none(meta.get("regularMarketPrice")),
        price_time=utc_from_epoch_s(meta.get("regularMarketTime")),
        closes=_closes(result),
    )


def _closes(result: Mapping[str, Any]) -> dict[int, float]:
    """Return the closes but the last bar's: that one may still move."""
    times = result.get("timestamp") or []
    closes = (result["indicators"]["quote"] or [{}])[0].get("close") or []
    found = {}
    for (start, _), close in zip(pairwise(times), closes, strict=False):
        if (price := positive_or_none(close)) is not None:
            found[int(start)] = price
    return found
