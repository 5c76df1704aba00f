"""When a scan may end before its universe does, and what its answer is then worth. Stops nothing itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HIGH_VALUE_RATING = 70.0
"""A tech_rating (0-100) above this makes a signal one of high value."""
MOST_RESULTS = 20_000
"""Of one scan, 1.2 kB each: a condition that always holds has eleven million in five years of the market."""
TOO_MANY = "max_results"
"""Why a scan ended that found more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """0 = no limit. `top`: the best so many by the scan's order; the others: end when so many are reached."""

    max_signals: int = 0
    max_high_value: int = 0
    max_processed: int = 0
    timeout_s: float = 0.0
    top: int = 0

    @property
    def any(self) -> bool:
        return bool(self.max_signals or self.max_high_value or self.max_processed or self.timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a scan has come to."""

    signals: int = 0
    high_value: int = 0
    processed: int = 0
    elapsed_s: float = 0.0


def reason_to_stop(criteria: Criteria, counts: Counts) -> str | None:
    """Return the criterion that is reached, if one is."""
    reached = {
        "max_signals": 0 < criteria.max_signals <= counts.signals,
        "max_high_value": 0 < criteria.max_high_value <= counts.high_value,
        "max_processed": 0 < criteria.max_processed <= counts.processed,
        "timeout_s": 0 < criteria.timeout_s <= counts.elapsed_s,
    }
    return next((name for name, is_reached in reached.items() if is_reached), None)


def too_many(results: int) -> str:
    """Return what is said of a scan that found more than it may tell."""
    return f"{results:,} results, more are not told: ask for fewer days or tickers, or the top"


def cut(results: NDArray[np.intp], ratings: NDArray[np.float64], criteria: Criteria, counts: Counts) -> int:
    """Return how many of a block's tickers, in their order, count until the block reaches a criterion: all of them if
    it reaches none. So `max_signals=5` gives exactly five, wherever the block ends. `results`: of each ticker, over a
    range of dates perhaps several."""
    ends = [len(results)]
    for most, had, counted in (
        (criteria.max_signals, counts.signals, results),
        (criteria.max_high_value, counts.high_value, np.where(ratings > HIGH_VALUE_RATING, results.clip(max=1), 0)),
        (criteria.max_processed, counts.processed, np.ones_like(results)),
    ):
        if most:
            reached = np.flatnonzero(np.cumsum(counted) + had >= most)
            ends.append(int(reached[0]) + 1 if len(reached) else len(results))
    return min(ends)


def top_is_certain(best: NDArray[np.float64], top: int, bound_of_rest: float) -> bool:
    """Whether none of the tickers not yet seen, whose keys are at most `bound_of_rest`, can enter the best `top`.

    The threshold algorithm (Fagin, Lotem, Naor 2001): `best` are the keys found so far.
    """
    if len(best) < top or math.isnan(bound_of_rest):
        return False
    return bool(np.partition(best, len(best) - top)[len(best) - top] >= bound_of_rest)


def account(
    *,
    reason: str,
    exact: bool,
    processed: int,
    total: int,
    armed_processed: int,
    armed: int,
    fetches: tuple[int, int],
) -> dict[str, Any]:
    """Return what is said of a scan that ended: how much of the universe its answer covers, what was saved.

    `fetches`: made, and that would have been made.
    """
    return {
        "reason": reason,
        "exact": exact,
        "coverage": processed / total if total else 1.0,
        "armed_coverage": armed_processed / armed if armed else 1.0,
        "skipped": total - processed,
        "fetched": fetches[0],
        "fetches_saved": fetches[1] - fetches[0],
    }
