"""How a signal is traded: entry, stop, two targets, size. Pure arithmetic on arrays; knows no pattern by name.

    R        = |entry - stop|, at least 0.5 and at most 3 ATR14
    targets  = entry + target_r x R and twice that (for a sale: below)
    size     = the least of: account x risk / R, 5 % of the shares that trade in a day, account / entry; whole shares
    risk     = size x R, what is lost at the stop: not the nominal 2 %
Where an ATR is not known (fewer than 15 bars, no movement) there is no plan: NaN, and size 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.settings import Risk
from screener.patterns.window import Flags, Floats

STOP_ATR = 1.5
LEAST_STOP_ATR = 0.5
MOST_STOP_ATR = 3.0
TICK_FROM = 1.0
"""From this price on a tick is a cent, below it a hundredth of one (SEC Rule 612)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One value a signal: prices in dollars, `size` in shares, `risk_usd` lost at the stop."""

    entry: Floats
    stop: Floats
    target_1: Floats
    target_2: Floats
    size: NDArray[np.int64]
    risk_usd: Floats


def make(side: Floats, entry: Floats, stop: Floats, atr: Floats, dollars_a_day: Floats, risk: Risk) -> Plan:
    """Return the plan of each signal. `side`: 1 buy, -1 sell; `stop`: the wanted one, NaN for 1.5 ATR."""
    away = np.where(np.isnan(stop), STOP_ATR * atr, side * (entry - stop))
    distance = np.clip(away, LEAST_STOP_ATR * atr, MOST_STOP_ATR * atr)
    distance = np.where(distance > 0.0, distance, np.nan)
    size = _size(entry, distance, dollars_a_day, risk)
    return Plan(
        entry=entry,
        stop=_price(entry - side * distance),
        target_1=_price(entry + side * distance * risk.target_r),
        target_2=_price(entry + side * distance * 2.0 * risk.target_r),
        size=size,
        risk_usd=size * distance,
    )


def beyond(price: Floats, side: Floats) -> Floats:
    """Return where a stop order one tick beyond a price stands."""
    return price + side * np.where(price >= TICK_FROM, 0.01, 0.0001)


def allot(risk_usd: Floats, risk: Risk) -> Flags:
    """Return which signals, the best first, are taken: all together within the heat and the number of positions.

    One too large for the room that is left is passed over, a smaller one after it may still fit.
    """
    taken = np.zeros(len(risk_usd), bool)
    room, places = risk.account_usd * risk.portfolio_heat_percent / 100.0, risk.max_positions
    for index, wanted in enumerate(risk_usd):
        if places and 0.0 < wanted <= room:
            taken[index] = True
            room, places = room - wanted, places - 1
    return taken


def _size(entry: Floats, distance: Floats, dollars_a_day: Floats, risk: Risk) -> NDArray[np.int64]:
    by_risk = risk.account_usd * risk.risk_per_trade_percent / 100.0 / distance
    by_trade = risk.max_volume_percent / 100.0 * dollars_a_day / entry
    # A day's dollars that are not known limit nothing, an ATR that is not known leaves no size.
    shares = np.floor(np.fmin(np.minimum(by_risk, risk.account_usd / entry), by_trade))
    return np.where(np.isnan(distance) | np.isnan(entry), 0.0, shares).astype(np.int64)


def _price(values: Floats) -> Floats:
    """A price at or below nothing is none."""
    return np.where(values > 0.0, values, np.nan)
