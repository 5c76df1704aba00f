"""How often something came true, with its interval. Counts nothing itself; says nothing from too few events."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z95 = 1.959963984540054
"""Standard normal quantile of 97.5 %: a two-sided interval of 95 %."""
FEWEST_EVENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRate:
    """Shares 0-1, None under 100 events; `horizon` in sessions. The interval is Wilson's, of 95 %."""

    horizon: int
    events: int
    hits: int
    rate: float | None
    low: float | None
    high: float | None


def hit_rate(hits: int, events: int, horizon: int) -> HitRate:
    """Return the rate with its interval.

    The interval takes events for independent. Those of one week are not quite: read it as the least that is unsure.
    """
    if events < FEWEST_EVENTS:
        return HitRate(horizon=horizon, events=events, hits=hits, rate=None, low=None, high=None)
    low, high = wilson(hits, events)
    return HitRate(horizon=horizon, events=events, hits=hits, rate=hits / events, low=low, high=high)


def wilson(hits: int, events: int) -> tuple[float, float]:
    """Return Wilson's score interval of 95 % (J. Am. Stat. Assoc. 22, 1927); `events` above 0."""
    share, spread = hits / events, Z95 * Z95 / events
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = Z95 * sqrt(share * (1.0 - share) / events + spread / (4.0 * events)) / (1.0 + spread)
    return middle - half, middle + half
