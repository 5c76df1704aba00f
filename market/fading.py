"""What becomes of facts that a source stops giving: they stand with their age, and are dropped in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from market.fundamentals import FIELDS, Fundamentals

FROM_ELSEWHERE = frozenset({"sector", "industry"})
"""What the lists of the universe give as well, where this source has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`values`: every field as it is to stand; `stale`: field -> when it was last given; `dropped`: emptied now."""

    values: dict[str, Any]
    stale: dict[str, date]
    dropped: tuple[str, ...]


def settle(
    said: Fundamentals,
    held: Mapping[str, Any],
    stale: Mapping[str, date],
    *,
    last_seen: date,
    today: date,
    keep_days: int,
) -> Settled:
    """Return what stands after an answer of `today`; `last_seen`: of the answer before it."""
    values: dict[str, Any] = {}
    ages: dict[str, date] = {}
    dropped = []
    for name in FIELDS:
        told, known = getattr(said, name), held[name]
        values[name] = known if told is None else told
        if told is not None or known is None or name in FROM_ELSEWHERE:
            continue
        seen = stale.get(name, last_seen)
        if today - seen > timedelta(days=keep_days):
            values[name] = None
            dropped.append(name)
        else:
            ages[name] = seen
    return Settled(values=values, stale=ages, dropped=tuple(dropped))
