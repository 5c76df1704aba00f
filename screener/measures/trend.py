"""True range, its averages, and Wilder's directional movement. Definitions as TA-Lib's."""

from __future__ import annotations

import numpy as np

from screener.cube.bars import Floats
from screener.measures import kernels
from screener.measures.panel import Panel, cached, looked_back

TINY = 1e-300  # what nothing is divided by, to give nothing


@cached
def true_range(panel: Panel, rows: int) -> Floats:
    """NaN on each ticker's first bar, which has no bar before it."""
    before = panel.lag("close", 1, rows)
    return np.maximum(panel.lag("high", 0, rows), before) - np.minimum(panel.lag("low", 0, rows), before)


def _ranges(panel: Panel) -> kernels.Source:
    """The true range, 0 where there is none."""
    bars = panel.bars

    def ranges(first: int, end: int) -> Floats:
        before = bars.close[max(first - 1, 0) : end - 1]
        start = end - len(before)
        out, bottom = (panel.scratch(name, 1)[: end - first] for name in ("ranges", "bottom"))
        known, lows = (kernels.after_first(values, len(before))[:, 0] for values in (out, bottom))
        # which price is the higher one is exact in float32, and half the memory; their difference is not
        np.copyto(known, np.maximum(bars.high[start:end], before))
        np.copyto(lows, np.minimum(bars.low[start:end], before))
        np.subtract(known, lows, out=known)
        if panel.ragged:
            np.fmax(out, 0.0, out=out)
        return out

    return ranges


@looked_back
def atr(panel: Panel, length: int, rows: int) -> Floats:
    """Wilder's average true range."""
    return kernels.sweep(_ranges(panel), panel.depth, panel.starts + 1, rows, series=1, length=length)[:, 0]


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


def _movement(panel: Panel) -> kernels.Source:
    """How much further up, and down, than the bar before; 0 for the lesser of the two."""

    def movement(first: int, end: int) -> Floats:
        high, low = (panel.span(name, max(first - 1, 0), end) for name in ("high", "low"))
        out = panel.scratch("movement", 2)[: end - first]
        known = kernels.after_first(out, len(high) - 1)
        np.subtract(high[1:], high[:-1], out=known[:, 0])
        np.subtract(low[:-1], low[1:], out=known[:, 1])
        panel.positive(known, 0.0, out=known)
        up, down = known[:, 0] > known[:, 1], known[:, 1] > known[:, 0]
        known[:, 0] *= up
        known[:, 1] *= down
        return out

    return movement


@looked_back
def _directional(panel: Panel, length: int, rows: int) -> Floats:
    """(rows, 3, N): the Wilder averages of movement up, of movement down, and of DX.

    DX = 100 |+DI - -DI| / (+DI + -DI), in which the true range cancels; 0 before the first move, as TA-Lib has it.
    """
    movement, begins = _movement(panel), panel.starts + length
    rolling = kernels.Wilder(panel.starts + 1, panel.depth, series=2, length=length, seed=length - 1)
    latest, moved = int(begins.max(initial=0)), np.full((rows, 2, panel.width), np.nan)

    def index(first: int, end: int) -> Floats:
        sums = movement(first, end)
        for row in range(first, end):
            rolling.add(row, sums[row - first])
            sums[row - first] = rolling.sums
        shown = max(first, panel.depth - rows)
        if shown < end:
            np.multiply(sums[shown - first :], 1 / length, out=moved[shown - panel.depth : (end - panel.depth) or None])
        both = np.maximum(sums[:, 0] + sums[:, 1], TINY)
        out = np.abs(sums[:, 0] - sums[:, 1]) / both
        if first < latest:
            np.copyto(out, 0.0, where=np.arange(first, end)[:, None] < begins)
        return out[:, None]

    averages = 100 * kernels.sweep(index, panel.depth, begins, rows, series=1, length=length)
    known = moved[max(rows - panel.depth, 0) :]
    for number in range(2):
        kernels.without_early(known[:, number], begins, panel.depth)
    return np.concatenate([moved, averages], axis=1)


@looked_back
def _average_range(panel: Panel, length: int, rows: int) -> Floats:
    """The Wilder sum of the true range as the directional indicators take it, seeded a bar early; over `length`."""
    ranges = kernels.sweep(
        _ranges(panel), panel.depth, panel.starts + 1, rows, series=1, length=length, seed=length - 1
    )
    return ranges[:, 0]


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
