"""Why a measure is not to be trusted or not there at all, for each ticker. Judges bars, never a value."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import Bars
from screener.measures import kernels

WARM_BARS = 120  # a Wilder average of 14 is then within 0.03 points of one with endless history; at 60 bars 1.5 points
FLAT_BARS = 14
VOLUME_BARS = 20


class Flag(IntFlag):
    """`warming`: fewer than 120 bars. `flat`: the price has not moved in 14 bars. `missing`: a volume of the last 20
    is not known. `stale`: the newest bar is older than the market's. `provisional`: its session still runs. `empty`: no
    bar at all."""

    WARMING = 1
    FLAT = 2
    MISSING = 4
    STALE = 8
    PROVISIONAL = 16
    EMPTY = 32


def flags_of(bars: Bars, *, newest_day: int | None = None) -> NDArray[np.uint8]:
    """Return (N,) the flags of each ticker's newest bar; `newest_day`: the market's, if `bars` are a part of it."""
    newest = bars.newest_day if newest_day is None else newest_day
    found = np.zeros(bars.width, np.uint8)
    if not bars.rows:
        return found | np.uint8(Flag.EMPTY | Flag.WARMING)
    provisional = np.zeros(bars.width, np.bool_) if bars.provisional is None else bars.provisional
    causes = {
        Flag.WARMING: bars.counts < WARM_BARS,
        Flag.FLAT: _flat(bars),
        Flag.MISSING: _missing(bars),
        Flag.STALE: (bars.session[-1] < newest) & (bars.counts > 0),
        Flag.PROVISIONAL: provisional,
        Flag.EMPTY: bars.counts == 0,
    }
    for flag, where in causes.items():
        found |= where.astype(np.uint8) * np.uint8(flag)
    return found


def _flat(bars: Bars) -> NDArray[np.bool_]:
    high, low = (side[-FLAT_BARS:].astype(np.float64) for side in (bars.high, bars.low))
    top, bottom = kernels.window_max(high, len(high), 1)[-1], kernels.window_min(low, len(low), 1)[-1]
    return np.asarray((bars.counts >= FLAT_BARS) & (top == bottom))


def _missing(bars: Bars) -> NDArray[np.bool_]:
    recent = bars.volume[-VOLUME_BARS:]
    places = np.arange(bars.rows - recent.shape[0], bars.rows)[:, None]
    return np.asarray((np.isnan(recent) & (places >= bars.starts)).any(axis=0))


def words(flags: int) -> list[str]:
    """Return the flags as lower-case words."""
    return [str(flag.name).lower() for flag in Flag if flags & flag]
