"""True range, its averages, and Wilder's directional movement. Definitions as TA-Lib's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from screener.cube.bars import Floats, Prices
from screener.measures import kernels, rolling
from screener.measures.panel import Changes, Panel, cached, looked_back

TINY = 1e-300  # what nothing is divided by, to give nothing


@cached
def true_range(panel: Panel, rows: int) -> Floats:
    """NaN on each ticker's first bar, which has no bar before it."""
    before = panel.lag("close", 1, rows)
    return np.maximum(panel.lag("high", 0, rows), before) - np.minimum(panel.lag("low", 0, rows), before)


def _ranges(panel: Panel, fields: Sequence[Prices], out: Floats) -> None:
    """The true range."""
    high, low, close = fields
    # which price is the higher one is exact in float32, and half the memory; their difference is not
    top, reach = panel.scratch("top", len(out), panel.width), out[:, 0]
    np.maximum(high[1:], close[:-1], out=top)
    np.minimum(low[1:], close[:-1], out=reach)
    np.subtract(top, reach, out=reach)
    if panel.ragged:
        np.fmax(reach, panel.nothing, out=reach)


def _changes(panel: Panel) -> Changes:
    return Changes(panel, ["high", "low", "close"], 1, _ranges)


@looked_back
def atr(panel: Panel, length: int, rows: int) -> Floats:
    """Wilder's average true range."""
    return _changes(panel).averages(length, rows)[:, 0]


@cached
def atr_simple(panel: Panel, length: int, rows: int) -> Floats:
    """The plain mean of the true range."""
    return kernels.window_mean(true_range(panel, rows + length - 1), length, rows)


def atr_percent(panel: Panel, length: int, rows: int) -> Floats:
    return 100 * atr(panel, length, rows) / panel.lag("close", 0, rows)


def daily_range(panel: Panel, length: int, rows: int) -> Floats:
    """ADR: the mean of high / low - 1, in percent."""
    needed = rows + length - 1
    return kernels.window_mean(100 * (panel.lag("high", 0, needed) / panel.lag("low", 0, needed) - 1), length, rows)


def _movement(panel: Panel, fields: Sequence[Prices], out: Floats) -> None:
    """How much further up, and down, than the bar before; 0 for the lesser of the two."""
    high, low = panel.wide("high", fields[0]), panel.wide("low", fields[1])
    up, down = out[:, 0], out[:, 1]
    np.subtract(high[1:], high[:-1], out=up)
    np.subtract(low[:-1], low[1:], out=down)
    panel.positive(up, panel.nothing, out=up)
    panel.positive(down, panel.nothing, out=down)
    further, less = up > down, down > up
    up *= further
    down *= less


@looked_back
def _directional(panel: Panel, length: int, rows: int) -> Floats:
    """(rows, 3, N): the Wilder averages of movement up, of movement down, and of DX.

    DX = 100 |+DI - -DI| / (+DI + -DI), in which the true range cancels; 0 before the first move, as TA-Lib has it.
    """
    movement, begins = Changes(panel, ["high", "low"], 2, _movement), panel.starts + length
    sums_of = rolling.Wilder(
        panel.starts + 1, panel.depth, series=2, length=length, seed=length - 1, first=movement.first(length - 1)
    )
    latest, moved = int(begins.max(initial=0)), np.full((rows, 2, panel.width), np.nan)

    def index(first: int, end: int) -> Floats:
        sums = movement(first, end)
        sums_of.roll(first, sums)
        if first >= panel.depth - rows:  # the sweep cuts there
            np.multiply(sums, 1 / length, out=moved[first - panel.depth : (end - panel.depth) or None])
        both = sums[:, 0] + sums[:, 1]
        np.maximum(both, TINY, out=both)
        apart = np.subtract(sums[:, 0], sums[:, 1], out=sums[:, 0])
        out = np.divide(np.abs(apart, out=apart), both, out=both)
        if first < latest:
            np.copyto(out, 0.0, where=np.arange(first, end)[:, None] < begins)
        return out[:, None]

    averages = 100 * rolling.sweep(index, panel.depth, begins, rows, series=1, length=length)
    known = moved[max(rows - panel.depth, 0) :]
    for number in range(2):
        rolling.without_early(known[:, number], begins, panel.depth)
    return np.concatenate([moved, averages], axis=1)


def _average_range(panel: Panel, length: int, rows: int) -> Floats:
    """The Wilder average of the true range as the directional indicators take it: seeded a bar earlier than the ATR,
    so that its seed has lost a `length`th of itself by the ATR's first bar."""
    lost = _changes(panel).first(length - 1)[:, 0].sum(axis=0) / length**2
    since = np.arange(panel.depth - rows, panel.depth)[:, None] - (panel.starts + length)
    return np.asarray(atr(panel, length, rows) - lost * (1 - 1 / length) ** np.maximum(since, 0))


def _indicator(panel: Panel, length: int, rows: int, side: int) -> Floats:
    ranges = _average_range(panel, length, rows)
    return 100 * _directional(panel, length, rows)[:, side] / np.where(ranges == 0, np.nan, ranges)


def plus_di(panel: Panel, length: int, rows: int) -> Floats:
    return _indicator(panel, length, rows, 0)


def minus_di(panel: Panel, length: int, rows: int) -> Floats:
    return _indicator(panel, length, rows, 1)


def adx(panel: Panel, length: int, rows: int) -> Floats:
    """Wilder's average of DX. NaN if nothing ever moved."""
    found = _directional(panel, length, rows)
    return np.where(found[:, 0] + found[:, 1] > 0, found[:, 2], np.nan)
