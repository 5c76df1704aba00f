"""Measures over the whole market: block by block what a ticker knows of itself, then its place among all.

A place is given among the bars of one session: a halted ticker's old bar is not ranked against today's.

The alpha score is the percentile (0-100) of a weighted sum of five standard scores, each (x - mean) / deviation of that
session's market, cut at +-3: RS rating's raw value, change from 252 to 21 bars ago, atr_percent14 (less is better),
rvol20, distance to the 52-week high. A ticker without one of the five has no score, never a middling one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from screener.cube.bars import Bars, Days, Floats, group_starts
from screener.measures import memory
from screener.measures.catalogue import Frame, UnknownMeasure, find
from screener.measures.panel import SPARE_ROWS

BLOCK = 8192  # tickers: narrower ones read the cube in pieces of rows, which costs more than what they save
CUT = 3.0  # standard deviations
FAR_BACK = {"stochrsi_k", "stochrsi_d", "tech_rating_osc", "tech_rating"}
FAR_ROWS = 18  # that the stochastic RSI looks back: one pass then serves it and the RSI itself
RANKED = {"rs_rating", "alpha_score"}
FEWEST = 2  # members of a session that have a place


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaWeights:
    """What each standard score counts in the alpha score; the names are the components'."""

    rs: float = 0.35
    momentum: float = 0.25
    calm: float = 0.15
    rvol: float = 0.10
    high: float = 0.15


COMPONENTS = {
    "rs": ("rs_raw", 1),
    "momentum": ("momentum_12_1", 1),
    "calm": ("atr_percent14", -1),
    "rvol": ("rvol20", 1),
    "high": ("distance_52w_high", 1),
}
"""Component -> (measure, sign)."""
DEFAULT = AlphaWeights()


def blocks(width: int, *, size: int = BLOCK) -> list[slice]:
    """Return the columns in equal pieces of about `size`."""
    edges = np.linspace(0, width, max(round(width / size), 1) + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def by_ticker(names: Iterable[str]) -> list[str]:
    """Return what must be computed for each ticker alone, so that all of `names` can be had; UnknownMeasure."""
    wanted: dict[str, None] = {}
    for name in names:
        measure = find(name)
        if measure is None:
            raise UnknownMeasure(name)
        if name == "alpha_score":
            wanted |= dict.fromkeys(source for source, _ in COMPONENTS.values())
        else:
            wanted["rs_raw" if name == "rs_rating" else name] = None
    return list(wanted)


def of_block(bars: Bars, names: Sequence[str], rows: int = 1) -> dict[str, Floats]:
    """Return (rows, N) of each name for these tickers; of the market's measures the raw values."""
    frame = Frame(bars, rows, spare_rows=SPARE_ROWS if FAR_BACK.isdisjoint(names) else FAR_ROWS)
    return {name: frame[name] for name in names}


def compute(
    bars: Bars,
    names: Sequence[str],
    rows: int = 1,
    *,
    weights: AlphaWeights = DEFAULT,
    each: Callable[[Bars, Sequence[str], int], Mapping[str, Floats]] = of_block,
) -> dict[str, Floats]:
    """Return (rows, N) of each name for the whole market; what the market ranks is ranked."""
    memory.keep()
    wanted = by_ticker(names)
    deep = rows if RANKED.isdisjoint(names) else reach(bars.session, rows)
    held = {name: np.empty((deep, bars.width)) for name in wanted}
    for block in blocks(bars.width):
        for name, values in each(bars.columns(block), wanted, deep).items():
            held[name][:, block] = values
    found = finish(held, bars, names, deep, weights=weights)
    return found if deep == rows else {name: values[deep - rows :] for name, values in found.items()}


def reach(session: Days, rows: int) -> int:
    """Return how many rows hold whole sessions as far back as `rows` bars of any ticker that trades now.

    One that was halted for a month has its bar of "three bars ago" a month ago, and is ranked among those of that day.
    """
    if rows <= 1 or not session.size:
        return rows
    trading = session[-1] == session[-1].max()
    shown = session[-rows:, trading]
    oldest = shown.min(where=shown > 0, initial=session[-1].max())
    return max(rows, int((session >= oldest).sum(axis=0).max()))


def finish(
    held: Mapping[str, Floats], bars: Bars, names: Sequence[str], rows: int = 1, *, weights: AlphaWeights = DEFAULT
) -> dict[str, Floats]:
    """Return `names`, given what `by_ticker` asks for, each (rows, N) of all tickers."""
    session = bars.session[-rows:]
    if session.shape[0] < rows:
        session = np.vstack([np.zeros((rows - session.shape[0], bars.width), np.int32), session])
    ranked = {
        "rs_rating": lambda: rs_rating(held["rs_raw"], session),
        "alpha_score": lambda: alpha_score(held, session, weights),
    }
    return {name: ranked[name]() if name in ranked else held[name] for name in names}


def _sessions(session: Days) -> Iterator[tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], ...]]:
    """Give the places of each session that every ticker's rows reach: the newest ones, as many as there are rows."""
    rows = session.shape[0]
    ordered = np.sort(session, axis=None)
    days = ordered[group_starts(ordered)]
    for day in days[days > 0][-rows:]:
        yield np.nonzero(session == day)


def percentile(values: Floats, session: Days) -> Floats:
    """Return 0-100: the share of the session's values below one's own, equals counting half. NaN has no place."""
    out = np.full(values.shape, np.nan)
    for places in _sessions(session):
        found = values[places]
        order = np.argsort(found)[: np.count_nonzero(~np.isnan(found))]  # NaN comes last
        if len(order) >= FEWEST:
            known = found[order]
            below, through = np.searchsorted(known, known, "left"), np.searchsorted(known, known, "right")
            out[tuple(axis[order] for axis in places)] = 50.0 * (below + through) / len(order)
    return out


def standard_score(values: Floats, session: Days) -> Floats:
    """Return (x - mean) / deviation of its session, cut at +-3."""
    out = np.full(values.shape, np.nan)
    for places in _sessions(session):
        found = values[places]
        known = found[~np.isnan(found)]
        spread = known.std() if len(known) >= FEWEST else 0.0
        if spread > 0:
            out[places] = np.clip((found - known.mean()) / spread, -CUT, CUT)
    return out


def rs_rating(raw: Floats, session: Days) -> Floats:
    """Return 1-99."""
    return np.clip(np.round(percentile(raw, session)), 1, 99)


def alpha_components(held: Mapping[str, Floats], session: Days) -> dict[str, Floats]:
    """Return the five standard scores, more being better in each."""
    return {name: sign * standard_score(held[source], session) for name, (source, sign) in COMPONENTS.items()}


def alpha_score(held: Mapping[str, Floats], session: Days, weights: AlphaWeights = DEFAULT) -> Floats:
    """Return 0-100."""
    parts = alpha_components(held, session)
    total = np.sum([weight * parts[name] for name, weight in asdict(weights).items()], axis=0)
    return percentile(total, session)
