"""What a chart means for the bars that are stored: nothing new, more days, or a past that was rewritten. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from market.bars import DayBar
from scanners.daily.plan import same_price
from storage.histories import DayRow

SAME_ADJUSTED = 1e-5
"""Share by which two spellings of one adjusted close may differ: they are 32-bit floats."""
ENOUGH = 0.5
"""A chart that holds a smaller share of the stored days is cut short: it replaces nothing."""
Past = Literal["first", "same", "added", "reloaded", "too_short"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rows`: what the stored bars are to be from the oldest to the newest of them; none = as they are."""

    past: Past
    rows: Sequence[DayRow] = ()


def verdict(stored: Sequence[DayRow], told: Sequence[DayBar], *, through: date) -> Verdict:
    """Return what the bars become, of days up to `through`, which is no past: a late trade may have moved its close."""
    rows: list[DayRow] = [bar for bar in told if bar.session_date <= through]
    before = {row[0]: row for row in stored}
    after = {row[0]: row for row in rows}
    if before.keys() <= {through}:
        return Verdict("first", rows)
    overlap = [(before[on], after[on]) for on in (before.keys() & after.keys()) - {through}]
    if any(_was_rewritten(old, new) for old, new in overlap):
        is_cut = len(after) < ENOUGH * len(before)
        return Verdict("too_short") if is_cut else Verdict("reloaded", rows)
    if before.keys() >= after.keys():
        return Verdict("same")
    merged = before | after
    oldest = min(after)
    return Verdict("added", [merged[on] for on in sorted(merged) if on >= oldest])


def _was_rewritten(old: DayRow, new: DayRow) -> bool:
    """Whether a day that is over has other prices now: a split, a dividend, a correction."""
    (*_, close_then, adjusted_then, _), (*_, close_now, adjusted_now, _) = old, new
    if not same_price(close_then, close_now):
        return True
    if adjusted_now is None:
        return False
    was = close_now if adjusted_then is None else adjusted_then  # a quote's day: nothing was paid since
    return not math.isclose(was, adjusted_now, rel_tol=SAME_ADJUSTED)
