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
from screener.patterns.catalogue import PATTERNS
from screener.patterns.pattern import NEVER, Pattern
from screener.patterns.window import Window


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
            warmup_bars=measure.warmup_bars,
        )

    def names(self) -> Iterable[str]:
        return CATALOGUE

    def compute(self, bars: Bars, names: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        return measures.compute(bars, names, min(rows, bars.rows))


class Patterns:
    """The patterns of `screener.patterns`: flags that compare as numbers, below 0 for the bearish side."""

    def find(self, name: str) -> Field | None:
        pattern = PATTERNS.get(name)
        return None if pattern is None else Field(name=name, kind="flag", doc=pattern.doc, signed=True)

    def names(self) -> Iterable[str]:
        return PATTERNS

    def compute(self, bars: Bars, names: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        rows = min(rows, bars.rows)
        found = {name: np.empty((rows, bars.width)) for name in names}
        for block in measures.blocks(bars.width):
            window = Window(bars.columns(block), bars.rows - rows)
            for name, matrix in found.items():
                matrix[:, block] = PATTERNS[name].fire(window)
        without_bar = bars.session[-rows:] == 0
        for matrix in found.values():
            matrix[without_bar] = np.nan
        return found


def arms() -> dict[str, Callable[[Market], Armed | None]]:
    """Return, by pattern, what tells which tickers it can still fire for."""
    return {name: partial(_armed, pattern) for name, pattern in PATTERNS.items()}


def _armed(pattern: Pattern, market: Market) -> Armed | None:
    if pattern.distance is None:
        return None
    distance = np.empty(market.tickers)
    for block in measures.blocks(market.tickers):
        distance[block] = pattern.distance(Window.last(market.bars.columns(block)))[-1]
    return Armed(distance < NEVER, distance)


def families() -> tuple[Family, ...]:
    """Return the standard ones; a name that both know is the measure's."""
    return Measures(), Patterns()
