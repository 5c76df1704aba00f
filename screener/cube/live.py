"""The price of the running session as a provisional last bar. Reads nothing; the bars given stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np

from screener.cube.bars import ARRAYS, FIELDS, Bars, Columns, Flags, Floats, Prices, empty

SIDES = (*FIELDS, "previous")
SPLIT = log(1.24)  # five for four is the least usual one; a day on which no bar was written moves a close by less
JUMP = log(1.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The running session's figures a ticker, (N,), NaN where there is none; `day`: its number. As of one moment.

    `previous`: the close before it, as told since it opened.
    """

    day: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    previous: Floats | None = None

    @property
    def known(self) -> Flags:
        """Which tickers have a price of the session."""
        return ~np.isnan(self.close)

    def take(self, which: Columns) -> Live:
        """Return the figures of these tickers alone."""
        previous = None if self.previous is None else self.previous[which]
        return Live(day=self.day, previous=previous, **{name: getattr(self, name)[which] for name in FIELDS})

    def in_units_of(self, closes: Prices) -> Live:
        """Return the figures without those of tickers whose completed bars, by their newest closes, have other units.

        After a split this morning the bars are still those of before, until the daily scanner has written them anew:
        every average would break. What differs is the close before the session; until it is told, the price.
        """
        assert self.previous is not None
        told = ~np.isnan(self.previous)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.abs(np.log(np.where(told, self.previous, self.close) / closes))
        return replace(self, close=np.where(apart > np.where(told, SPLIT, JUMP), np.nan, self.close))


def nothing_yet(width: int, day: int) -> Live:
    """Return the figures of a session in which no ticker has traded."""
    return Live(day=day, **{name: np.full(width, np.nan) for name in SIDES})


def with_quotes(live: Live, place: dict[str, int], quotes: Sequence[tuple[Any, ...]]) -> Live:
    """Return `live` with quotes (ticker, open, high, low, close, volume, previous close) in the columns of `place`.

    Prices are cut to float32, as those of completed bars are: what is computed of either is the same.
    """
    rows = [quote for quote in quotes if quote[0] in place]
    columns = np.array([place[row[0]] for row in rows], np.intp)
    values = np.array([row[1:] for row in rows], np.float64).reshape(-1, len(SIDES)).T
    changed = {name: getattr(live, name).copy() for name in SIDES}
    for name, column in zip(SIDES, values, strict=True):
        changed[name][columns] = column if name == "volume" else column.astype(np.float32)
    return Live(day=live.day, **changed)


def with_live(bars: Bars, live: Live) -> Bars:
    """Return `bars` with the session's figures as each ticker's newest bar, marked provisional.

    A ticker without a price of the session keeps its bars. One that has a bar of the session already, because it is
    closed, keeps that: SQL's bar is the truth.
    """
    running = live.known & ((bars.session[-1] < live.day) if bars.rows else True)
    rows = bars.rows + (1 if bars.rows == 0 or bool((bars.counts[running] == bars.rows).any()) else 0)
    out = empty(bars.tickers, rows)
    for name in ARRAYS:
        held, fresh = getattr(bars, name), getattr(out, name)
        fresh[rows - bars.rows :] = held
        shifted = held[1 - (rows - bars.rows) :, running]
        fresh[rows - 1 - shifted.shape[0] : rows - 1, running] = shifted
        fresh[-1, running] = live.day if name == "session" else getattr(live, name)[running]
    out.counts[:] = bars.counts + running
    return Bars(
        **{name: getattr(out, name) for name in ("tickers", *ARRAYS, "counts")},
        provisional=running,
    )
