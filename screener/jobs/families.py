"""The fields that are computed from bars: measures and patterns, in the form that expressions want."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from screener.cube.bars import Bars
from screener.expressions.fields import Field
from screener.jobs.market import Family, Market, Matrix
from screener.jobs.priority import Armed
from screener.measures import market as measures
from screener.measures.catalogue import CATALOGUE, find
from screener.patterns import lc
from screener.patterns.catalogue import DAILY, PATTERNS, fired
from screener.patterns.parabolic import parabolic_score
from screener.patterns.pattern import NEVER, Pattern
from screener.patterns.window import Limits, Window

SCORE = "parabolic_score"


class Measures:
    """The indicators of `screener.measures`."""

    def find(self, name: str) -> Field | None:
        measure = find(name)
        if measure is None:
            return None
        return Field(
            name=name,
            kind="flag" if measure.flag else "number",
            unit=measure.unit,
            doc=measure.doc,
            market_wide=measure.of_market,
        )

    def names(self) -> Iterable[str]:
        return CATALOGUE

    def compute(self, bars: Bars, names: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        return measures.compute(bars, names, min(rows, bars.rows))


class Patterns:
    """The patterns of `screener.patterns`: flags that compare as numbers, below 0 for the bearish side."""

    def __init__(self, limits: Limits | None = None) -> None:
        """`limits`: what a bar must trade for the LC flags."""
        self._limits = limits

    def find(self, name: str) -> Field | None:
        if name == SCORE:
            return Field(name=SCORE, unit="0-100", doc="how far and how fast a run has gone by the bar before")
        if name not in DAILY:
            return None
        pattern = PATTERNS[name]
        return Field(name=name, kind="flag", doc=pattern.doc, signed=True, market_wide=bool(pattern.ranked))

    def names(self) -> Iterable[str]:
        return (*DAILY, SCORE)

    def compute(self, bars: Bars, names: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        rows = min(rows, bars.rows)
        found = {name: np.empty((rows, bars.width)) for name in names}
        wide = sorted({measure for name in names if name in PATTERNS for measure in PATTERNS[name].ranked})
        ranked = measures.compute(bars, wide, rows) if wide else {}
        for block in measures.blocks(bars.width):
            places = {measure: values[:, block] for measure, values in ranked.items()}
            window = Window(bars.columns(block), bars.rows - rows, ranked=places, limits=self._limits)
            for name, matrix in found.items():
                matrix[:, block] = parabolic_score(window) if name == SCORE else fired(name, window)
        without_bar = bars.session[-rows:] == 0
        for matrix in found.values():
            matrix[without_bar] = np.nan
        return found


FLAGS_AS = {
    "new_high_52w": "week_52_high_breakout",
    "new_low_52w": "week_52_low_breakdown",
    "near_high_52w": "near_week_52_high",
}
"""Measure -> the pattern that is the same condition: it tells how far the measure is from coming to hold."""
LIMITED = frozenset(pattern.name for pattern in lc.PATTERNS)


def arms() -> dict[str, Callable[[Market], Armed | None]]:
    """Return, by pattern or flag, what tells which tickers it can still fire for."""
    flags = {flag: PATTERNS[name] for flag, name in FLAGS_AS.items()}
    return {name: partial(_armed, pattern) for name, pattern in (PATTERNS | flags).items()}


def _armed(pattern: Pattern, market: Market) -> Armed | None:
    if pattern.distance is None:
        return None
    ranked = {measure: market.numbers(measure, 1) for measure in pattern.ranked}
    distance = np.empty(market.tickers)
    for block in measures.blocks(market.tickers):
        places = {measure: values[:, block] for measure, values in ranked.items()}
        bars = market.bars.columns(block)
        distance[block] = pattern.distance(Window(bars, bars.rows - 1, ranked=places))[-1]
    return Armed(distance < NEVER, distance)


def families(limits: Limits | None = None) -> tuple[Family, ...]:
    """Return the standard ones; no name is in both. `limits`: of the LC flags."""
    return Measures(), Patterns(limits)


def limited(market: Market, names: Sequence[str], limits: Limits | None) -> Market:
    """Return the market in which the LC flags among `names` are those of `limits`; all else is shared."""
    if limits is None or LIMITED.isdisjoint(names):
        return market
    return market.with_families(families(limits), anew=LIMITED)
