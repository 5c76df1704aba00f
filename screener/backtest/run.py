"""Runs conditions over years of a whole market, in blocks of columns. Prints nothing, keeps nothing.

The conditions are those of a scan, on windows of many rows: what fires here would have fired then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from core.errors import TickerdError
from screener.backtest.outcomes import Base, Events, Returns, Tallies, Tally, count, forward_returns
from screener.backtest.rates import HitRate, hit_rate
from screener.cube.bars import Bars
from screener.measures import market, memory
from screener.patterns.window import DEPTH, Flags, Limits, Signs, Window

HORIZONS = (1, 5, 10, 20)
"""Sessions."""
SHOWN_HORIZON = 10
"""The horizon of the hit rate that stands beside a signal."""
BLOCK_BARS = 300_000
"""Bars a block: their arrays stay small beside the cube, and calls cost little beside the arrays."""
Condition = Callable[[Window], Signs | Flags]


class Stopped(TickerdError):
    """Somebody asked a back-test to end before its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`side`: 1 buy, -1 sell. `base_rate`: hits among all bars, on that side. Returns are fractions."""

    name: str
    side: int
    rate: HitRate
    base_rate: float | None
    mean_return: float | None
    mean_return_error: float | None


def run(
    bars: Bars,
    conditions: Mapping[str, Condition],
    *,
    horizons: Sequence[int] = HORIZONS,
    days: tuple[int, int] | None = None,
    ranked: Sequence[str] = (),
    limits: Limits | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Return what became of each condition, in the order given, by side and horizon; sides without events left out.

    `stopped` is asked before each block: Stopped if it says so, half a market is no answer.

    `days`: first and last session of an event, as day numbers. `ranked`: the measures of the whole market (RS rating)
    that the conditions ask for: they are computed before the market is cut into blocks.
    """
    if not bars.rows:
        return []
    memory.keep()
    places = market.compute(bars, list(ranked), bars.rows) if ranked else {}
    tallies = Tallies()
    for columns in blocks(bars):
        if stopped():
            raise Stopped("the back-test was stopped", right="run it again")
        cut = {name: values[:, columns] for name, values in places.items()}
        part = bars.columns(columns)
        _count(tallies, Window(part, min(DEPTH, part.rows - 1), ranked=cut, limits=limits), conditions, horizons, days)
    keys = ((name, side, horizon) for name in conditions for side in (1, -1) for horizon in horizons)
    return [_outcome(tallies, key) for key in keys if key in tallies.of and tallies.of[key].events]


def rates(outcomes: Sequence[Outcome], horizon: int = SHOWN_HORIZON) -> dict[tuple[str, int], HitRate]:
    """Return the hit rate of each (pattern, side) that stands beside its signals."""
    return {(one.name, one.side): one.rate for one in outcomes if one.rate.horizon == horizon}


def blocks(bars: Bars) -> list[slice]:
    """Return the columns in blocks of about BLOCK_BARS bars."""
    width = max(1, BLOCK_BARS // max(bars.rows, 1))
    return [slice(start, min(start + width, bars.width)) for start in range(0, bars.width, width)]


def _count(
    tallies: Tallies,
    window: Window,
    conditions: Mapping[str, Condition],
    horizons: Sequence[int],
    days: tuple[int, int] | None,
) -> None:
    """Add what became of each condition on one block; what was computed for it goes with it."""
    fired = {name: Events.of(_within(window, condition(window), days)) for name, condition in conditions.items()}
    for horizon in horizons:
        count(tallies, fired, _of_days(window, forward_returns(window.bars, window.first, horizon), days), horizon)


def _within(window: Window, found: Signs | Flags, days: tuple[int, int] | None) -> Signs:
    """Return the events in the days asked; a condition that only says yes says buy."""
    signs = found.astype(np.int16)
    return signs if days is None else signs * _asked(window, days)


def _of_days(window: Window, returns: Returns, days: tuple[int, int] | None) -> Returns:
    return returns if days is None else np.where(_asked(window, days), returns, np.float32(np.nan))


def _asked(window: Window, days: tuple[int, int]) -> Flags:
    session = window.bars.session[window.first :]
    return (session >= days[0]) & (session <= days[1])


def _outcome(tallies: Tallies, key: tuple[str, int, int]) -> Outcome:
    name, side, horizon = key
    tally, base = tallies.of[key], tallies.base[horizon]
    mean, error = _mean(tally)
    return Outcome(
        name=name,
        side=side,
        rate=hit_rate(tally.hits, tally.events, horizon),
        base_rate=_base_rate(base, side),
        mean_return=mean,
        mean_return_error=error,
    )


def _base_rate(base: Base, side: int) -> float | None:
    """Return the share of all bars that rose, or fell; unchanged ones are a hit of neither side."""
    if not base.bars:
        return None
    return (base.rose if side > 0 else base.fell) / base.bars


def _mean(tally: Tally) -> tuple[float, float]:
    """Return mean and its standard error."""
    mean = tally.total / tally.events
    spread = max(tally.squares / tally.events - mean * mean, 0.0)
    return mean, sqrt(spread / tally.events)
