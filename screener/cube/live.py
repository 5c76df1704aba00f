"""The price of the running session as a provisional last bar. Reads nothing; the bars given stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from screener.cube.bars import ARRAYS, FIELDS, Bars, Flags, Floats, empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The running session's figures a ticker, (N,), NaN where there is none; `day`: its number. As of one moment."""

    day: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def known(self) -> Flags:
        """Which tickers have a price of the session."""
        return ~np.isnan(self.close)


def nothing_yet(width: int, day: int) -> Live:
    """Return the figures of a session in which no ticker has traded."""
    return Live(day=day, **{name: np.full(width, np.nan) for name in FIELDS})


def with_quotes(live: Live, place: dict[str, int], quotes: Sequence[tuple[Any, ...]]) -> Live:
    """Return `live` with quotes (ticker, open, high, low, close, volume, ...) in the columns that `place` names."""
    rows = [quote for quote in quotes if quote[0] in place]
    columns = np.array([place[row[0]] for row in rows], np.intp)
    values = np.array([row[1:6] for row in rows], np.float64).reshape(-1, 5).T
    changed = {name: getattr(live, name).copy() for name in FIELDS}
    for name, column in zip(FIELDS, values, strict=True):
        changed[name][columns] = column
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
