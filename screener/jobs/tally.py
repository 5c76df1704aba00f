"""What a scan tells the metrics beside its results: how soon, how well foretold, from where. Reads no clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from screener.expressions.fields import Bools
from screener.jobs import priority


class Tally:
    """Seconds since the scan began."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._foretold_s: float | None = None

    def found(self, elapsed_s: float) -> None:
        """Say that a result went out."""
        if self._first_s is None:
            self._first_s = elapsed_s

    def advanced(self, *, share: float, elapsed_s: float, left_s: float | None) -> None:
        """Say how far it is; what is foretold at half way is held against the end."""
        if share >= 0.5 and self._foretold_s is None and left_s is not None:
            self._foretold_s = elapsed_s + left_s

    def told(self, hits: Bools | None, *, took_s: float, total: int, fetched: int) -> dict[str, Any]:
        """Return it all. `hits`: of each ticker in the order of work, None if no order was asked for."""
        off_s = None if self._foretold_s is None else abs(self._foretold_s - took_s)
        return {
            "first_result_s": self._first_s,
            "eta_error": None if off_s is None or not took_s else off_s / took_s,
            "tiers": None if hits is None else tiers(hits, total),
            "fetched": fetched,
        }


def tiers(hits: Bools, total: int) -> dict[str, dict[str, int]]:
    """Return how many of each tier were scanned and gave a signal."""
    reached = {tier: hits[places] for tier, places in priority.tier_places(total).items()}
    return {tier: {"scanned": len(found), "signals": int(np.count_nonzero(found))} for tier, found in reached.items()}
