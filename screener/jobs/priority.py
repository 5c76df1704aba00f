"""In which order tickers are fetched and shown: those that can still fire first, the nearest to their trigger first.

Never leaves one out: some places go to those that waited longest, so that nothing is for ever last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]
Tier = Literal["high", "medium", "low"]

TIERS: tuple[tuple[Tier, float], ...] = (("high", 0.2), ("medium", 0.5), ("low", 0.3))
"""Shares of the universe, in the order of priority: a tier cannot be empty."""
EXPLORED_EVERY = 50
"""One place of so many goes to a ticker that waited long, whatever its priority."""
FAR = 1e300
"""The distance of what may fire and whose distance is not known: behind all others that may."""
FIRST_SHARE = 0.2
"""The share of the universe in which signals should be found."""


@dataclass(frozen=True, slots=True)
class Armed:
    """For each ticker, from its closed bars: whether the condition can hold on the next one, and how far that is, in
    its own usual moves (0 = it holds now)."""

    where: Bools
    distance: Floats


def in_order(armed: Armed, by_score: Places, by_wait: Places, *, explore_every: int = EXPLORED_EVERY) -> Places:
    """Return the tickers' places in the order of work. `by_score`: the best first, breaks ties; `by_wait`: the one that
    was fetched longest ago first."""
    known = np.where(np.isnan(armed.distance), FAR, np.minimum(armed.distance, FAR))
    key = np.where(armed.where, known, np.inf)[by_score]
    return _explored(by_score[np.argsort(key, kind="stable")], by_wait, explore_every)


def _explored(best_first: Places, by_wait: Places, every: int) -> Places:
    """Give each `every`-th place to the one that waited longest of those behind it."""
    count = len(best_first)
    slots = np.arange(every - 1, count, every)
    if not len(slots):
        return best_first
    position = np.empty(count, np.intp)
    position[best_first] = np.arange(count)
    chosen = by_wait[position[by_wait] >= every][: len(slots)]
    is_chosen, is_slot = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    is_chosen[chosen], is_slot[slots[: len(chosen)]] = True, True
    order = np.empty(count, np.intp)
    order[is_slot], order[~is_slot] = chosen, best_first[~is_chosen[best_first]]
    return order


@lru_cache(maxsize=8)
def tier_places(total: int) -> dict[Tier, slice]:
    """Return the places of each tier among `total` tickers, in the order of work."""
    ends = [0, *(round(float(share) * total) for share in np.cumsum([share for _, share in TIERS]))]
    return {tier: slice(*places) for (tier, _), places in zip(TIERS, pairwise(ends), strict=True)}


@lru_cache(maxsize=8)
def tiers(total: int) -> tuple[Tier, ...]:
    """Return the tier of each of `total` tickers, in the order of work."""
    return tuple(tier for tier, places in tier_places(total).items() for _ in range(places.start, places.stop))


def accuracy(hits_in_order: Bools, *, share: float = FIRST_SHARE) -> float | None:
    """Return the share of all signals that stood in the first `share` of the order; None without a signal."""
    signals = int(hits_in_order.sum())
    first = int(np.ceil(share * len(hits_in_order)))
    return float(hits_in_order[:first].sum()) / signals if signals else None


def both(parts: Sequence[Armed]) -> Armed:
    """All must hold: the farthest counts."""
    return Armed(
        np.logical_and.reduce([part.where for part in parts]), np.maximum.reduce([part.distance for part in parts])
    )


def either(parts: Sequence[Armed]) -> Armed:
    """One must hold: the nearest of those that can counts."""
    distances = [np.where(part.where, part.distance, np.inf) for part in parts]
    return Armed(np.logical_or.reduce([part.where for part in parts]), np.minimum.reduce(distances))
