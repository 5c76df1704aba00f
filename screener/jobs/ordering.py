"""The order in which one scan takes its tickers. Fetches nothing, evaluates no condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from screener.expressions.evaluate import values
from screener.expressions.fields import Bools, Floats
from screener.jobs import priority, score
from screener.jobs.arming import ARM, USUAL_MOVE, armed
from screener.jobs.market import Market
from screener.jobs.priority import Places
from screener.jobs.request import Plan

RANKED = ""
"""What a market keeps its order by score under; no condition is empty."""
Memory = Callable[[Sequence[str]], score.Past]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """What the order is made from. `memory`: what earlier scans found of these tickers."""

    arms: ARM = field(default_factory=dict)
    memory: Memory | None = None
    luck: np.random.Generator = field(default_factory=np.random.default_rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`places`: of the tickers, in the order of work; `armed`: which of these can still fire."""

    places: Places
    armed: Bools

    def among(self, asked: Bools, *, most: int) -> Order:
        """Return the order of the tickers asked for, the first `most` of them; 0 = all."""
        kept = np.flatnonzero(asked[self.places])[: most or None]
        return Order(places=self.places[kept], armed=self.armed[kept])


def work_order(plan: Plan, wanted: Bools, closed: Market, chances: Chances, *, prioritise: bool) -> Order:
    """Return the order of the `wanted` tickers.

    `closed`: all tickers as they stood before the bars that are scanned; the order knows no more than that.
    """
    places, can_fire = np.arange(closed.tickers), np.ones(closed.tickers, np.bool_)
    if prioritise and not plan.is_range:
        text = plan.condition.text
        known = closed.told.get(text)
        if known is None:  # it holds for all scans of the condition until the next close
            known = closed.told[text] = _ordered(plan, closed, chances)
        places, can_fire = known
    places = places[wanted[places]]
    return Order(places=places, armed=can_fire[places])


def _ordered(plan: Plan, closed: Market, chances: Chances) -> tuple[Places, Bools]:
    closed.prepare((*plan.condition.fields, USUAL_MOVE), 1 + plan.condition.look_back)
    state = armed(plan.condition, closed, chances.arms)
    ranked = closed.told.get(RANKED)
    if ranked is None:
        by_score = np.argsort(-_score(closed, chances), kind="stable")
        ranked = closed.told[RANKED] = by_score, np.argsort(chances.luck.random(closed.tickers))
    by_score, by_wait = ranked
    return priority.in_order(state, by_score, by_wait), state.where


def _score(market: Market, chances: Chances) -> Floats:
    past = chances.memory(market.names) if chances.memory else score.Past.empty(market.tickers)
    measured = {
        name: market.numbers(name, 1)[-1] if market.has((name,)) else np.full(market.tickers, np.nan)
        for name in score.MEASURES  # a tie is not worth computing a field for
    }
    return score.score(past, measured, {})


def keys_known_before(plan: Plan, market: Market) -> Floats | None:
    """Return the ranking keys, the best largest, if a fetch cannot change them; None if it can."""
    if plan.order is None or any(market.vocabulary[name].dated for name in plan.order.fields):
        return None
    keys = values(plan.order, market)[-1]
    keys = -keys if plan.request.ascending else keys
    return np.where(np.isnan(keys), -math.inf, keys)
