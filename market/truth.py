"""Does the table hold what a second source says of a session? Compares numbers; asks nobody and changes none.

Prices are the same to the last digit that a 32-bit float keeps, as charts have them. Volume is not: trades are
reported for hours after the close, so that a later answer says more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

SAME_PRICE = 1.2e-7
"""Relative: a 32-bit float has 24 bits."""
LATE_REPORTS, TAKEN_BACK, FEW_SHARES = 0.25, 0.05, 1000
"""So much of a volume may be reported later, and be taken back; and so many shares of a ticker that trades little."""
MOVE = 1.5
"""A close this many times the one before, or the other way round, is odd enough to ask."""
RANGE = 1.5
BUSY = 20.0
"""A day's volume against the mean of three months."""
SAMPLE = 100
"""Tickers compared with their charts each session, however sound they look."""
MOST_OUTLIERS = 400
"""With the sample 500 requests: four minutes of the direct lane. More outliers are a fault of the whole night."""

BAR_FIELDS = {"open": "bar_open", "high": "bar_high", "low": "bar_low", "close": "bar_close", "volume": "bar_volume"}
ROW_FIELDS = {
    "open": "open_price",
    "high": "days_high",
    "low": "days_low",
    "close": "current_price",
    "volume": "volume",
}
VOLUMES = (BAR_FIELDS["volume"], ROW_FIELDS["volume"])


@dataclass(frozen=True, slots=True, kw_only=True)
class DayNumbers:
    """What one source says of one session; None: it does not say."""

    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the table holds of a ticker: `bar` of the session, `row` of `stocks_stock` if it is of the session too.

    `witness`: what another endpoint said after the close; `traded`: what it says of that, None = it did not answer,
    or only when the ticker had traded in a later session (`told_later`).
    """

    ticker: str
    bar: DayNumbers | None
    row: DayNumbers | None
    witness: DayNumbers | None = None
    traded: bool | None = None
    told_later: bool = False
    close_before: float | None = None
    usual_volume: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`field`: a column of `stocks_stock`, or `bar_` and one of `stocks_daily_bar`."""

    field: str
    held: float | None
    told: float | None


def differences(held: Held, told: DayNumbers) -> list[Difference]:
    """Return every number of the table that is not what `told` says."""
    return [
        *_apart(held.bar, told, BAR_FIELDS),
        *_apart(held.row, told, ROW_FIELDS),
    ]


def why_odd(held: Held) -> str | None:
    """Return the first rule by which a ticker's numbers want a chart, None if they look sound."""
    if held.traded and held.bar is None:
        return "no_bar"
    if held.traded is False and held.bar is not None:
        return "no_trade"
    if held.witness is not None and (found := differences(held, held.witness)):
        return "witness_volume" if all(each.field in VOLUMES for each in found) else "witness"
    if held.bar is not None and held.row is not None and any(_apart(held.row, held.bar, ROW_FIELDS)):
        return "row_and_bar"
    numbers = held.bar or held.row
    return None if numbers is None else _odd_in_itself(numbers, held)


def sample(tickers: Iterable[str], *, session_date: date, size: int = SAMPLE) -> list[str]:
    """Return tickers by chance, the same ones for the same session."""
    known = sorted(tickers)
    return random.Random(f"audit {session_date}").sample(known, min(size, len(known)))


def same(name: str, held: float, told: float) -> bool:
    """True if `told`, which was said later, is what the table holds."""
    if name == "volume":
        return abs(told - held) <= max(FEW_SHARES, held * (LATE_REPORTS if told > held else TAKEN_BACK))
    return abs(held - told) <= SAME_PRICE * max(abs(held), abs(told))


def _apart(held: DayNumbers | None, told: DayNumbers, fields: dict[str, str]) -> list[Difference]:
    if held is None:
        return []
    found = []
    for name, field in fields.items():
        one, other = getattr(held, name), getattr(told, name)
        if one is not None and other is not None and not same(name, one, other):
            found.append(Difference(field=field, held=one, told=other))
    return found


def _odd_in_itself(numbers: DayNumbers, held: Held) -> str | None:
    close, low, high, volume = numbers.close, numbers.low, numbers.high, numbers.volume
    if close is not None and low is not None and high is not None:
        if not 0 < low <= close <= high:
            return "order"
        if high > low * RANGE:
            return "high"
    if close and held.close_before and not 1 / MOVE <= close / held.close_before <= MOVE:
        return "close"
    if volume is not None and held.usual_volume and volume > BUSY * held.usual_volume:
        return "volume"
    return None
