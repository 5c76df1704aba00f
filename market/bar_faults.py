"""Finds bars of another scale than the newest ones: cents for dollars, a split applied twice or not at all.

Such faults stand in Yahoo's charts for days: single bars, or all of the past. Finds them, mends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from market.bars import DayBar

HUNDREDFOLD = 100.0
LEAST_FACTOR = 1.25
"""A split of fewer shares than 5:4 is within what a day may move."""
SPLIT_REACH = timedelta(days=30)
"""A split is misapplied within this of its date: eight days were the most in recorded faults."""
ROOM, MOST_ROOM = 0.35, math.log(2.3)
"""A step may miss its factor by this power of it, at most 2.3 times: 5 by 1.75. The market moves meanwhile."""
MIXED_UNITS = 50.0
"""No day's high is so many times its low; a bar of two units is."""
NARROW = 40.0
"""Below `MIXED_UNITS` and `HUNDREDFOLD` less its room: without a split, prices so near each other are of one scale."""


def find_faults(
    bars: Sequence[DayBar],
    splits: Mapping[date, float],
    dividends: Mapping[date, float],
    *,
    reference: float | None = None,
) -> dict[date, str]:
    """Return date -> rule (hundredfold, split, mixed_units) of each bar of another scale than the newest.

    `bars` by date; `dividends`: what explains a fall of half the price; `reference`: a price of now that another
    source tells, by which the newest bars are judged too.
    """
    if _is_narrow(bars, splits, dividends, reference):
        return {}
    found = {bar.session_date: "mixed_units" for bar in bars if bar.high > bar.low * MIXED_UNITS}
    whole = [bar for bar in bars if bar.session_date not in found]
    level, rule, newer = 1.0, "", reference
    for bar in reversed(whole):
        price = _middle(bar)
        if newer is not None:
            for name, factor in _factors(bar.session_date, splits):
                if _is_step(price / newer, factor):
                    level, rule = level * factor, rule or name
                    break
        if _is_apart(level):
            found[bar.session_date] = rule
        else:
            rule = ""
        newer = price + dividends.get(bar.session_date, 0.0)
    return found


def _is_narrow(
    bars: Sequence[DayBar], splits: Mapping[date, float], dividends: Mapping[date, float], reference: float | None
) -> bool:
    """Whether no two prices are far enough apart for any fault, which nearly all histories tell at a glance."""
    if splits or not bars:
        return not bars
    least, most = min(bar.low for bar in bars), max(bar.high for bar in bars)
    if reference is not None:
        least, most = min(least, reference), max(most, reference)
    return most + max(dividends.values(), default=0.0) < NARROW * least


def _middle(bar: DayBar) -> float:
    """Return the price of which the bar has as many above as below: one wrong one does not move it."""
    _, low, high, _ = sorted((bar.open, bar.high, bar.low, bar.close))
    return math.sqrt(low * high)


def _factors(on: date, splits: Mapping[date, float]) -> Iterator[tuple[str, float]]:
    for factor in (HUNDREDFOLD, 1 / HUNDREDFOLD):
        yield "hundredfold", factor
    for split_on, ratio in splits.items():
        if abs(on - split_on) <= SPLIT_REACH and _is_apart(ratio):
            yield from (("split", ratio), ("split", 1 / ratio))


def _is_step(step: float, factor: float) -> bool:
    return abs(math.log(step / factor)) <= min(MOST_ROOM, ROOM * abs(math.log(factor)))


def _is_apart(factor: float) -> bool:
    return abs(math.log(factor)) >= math.log(LEAST_FACTOR)
