"""What fired on the newest bars, with plan and confidence. Ranks nothing, keeps nothing.

Signals are columns of arrays until someone wants rows of them: a whole market fires tens of thousands at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.settings import Risk
from screener.backtest.rates import HitRate
from screener.cube.bars import date_of
from screener.patterns import plan
from screener.patterns.catalogue import PATTERNS, fired
from screener.patterns.confidence import FACTORS, confidence, factors
from screener.patterns.parabolic import grade, parabolic_score
from screener.patterns.pattern import Pattern
from screener.patterns.window import Flags, Floats, Window

Columns = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One pattern on one ticker. Prices in dollars, size in shares; None = not known.

    `confidence`: 0-100. `hit_rate`: of the pattern in the back-test, None under 100 events, with the ends of its
    95 % interval and the number of events; `grade`: of an LC flag, A+ to D; `provisional`: the bar is of a session that
    still runs.
    """

    ticker: str
    session_date: date
    pattern: str
    direction: str
    entry: float
    stop: float | None
    target_1: float | None
    target_2: float | None
    atr: float | None
    position_size: int
    risk_amount_usd: float | None
    confidence: float
    confluence: tuple[str, ...]
    hit_rate: float | None
    hit_rate_low: float | None
    hit_rate_high: float | None
    hit_events: int
    hit_horizon: int | None
    grade: str | None
    provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Each array holds one value a signal; `pattern` counts in `names`, `column` in the window's tickers."""

    window: Window
    names: tuple[str, ...]
    pattern: Columns
    column: Columns
    side: Floats
    plan: plan.Plan
    atr: Floats
    confidence: Floats
    agreeing: tuple[Flags, Flags, Flags]
    score: Floats
    """Parabolic, NaN where the pattern is not graded or the score not known."""

    def __len__(self) -> int:
        return len(self.column)

    def row(self, index: int, rates: Mapping[tuple[str, int], HitRate]) -> Signal:
        """Return one signal; `rates`: what the back-test says of (pattern, side), as far as it is known."""
        column, side, name = self.column[index], int(self.side[index]), self.names[self.pattern[index]]
        bars, rate = self.window.bars, rates.get((name, side))
        return Signal(
            ticker=bars.tickers[column],
            session_date=date_of(int(bars.session[-1, column])),
            pattern=name,
            direction="BUY" if side > 0 else "SELL",
            entry=round(float(self.plan.entry[index]), 4),
            stop=_known(self.plan.stop[index]),
            target_1=_known(self.plan.target_1[index]),
            target_2=_known(self.plan.target_2[index]),
            atr=_known(self.atr[index]),
            position_size=int(self.plan.size[index]),
            risk_amount_usd=_known(self.plan.risk_usd[index]),
            confidence=round(float(self.confidence[index]), 2),
            confluence=tuple(word for word, held in zip(FACTORS, self.agreeing, strict=True) if held[index]),
            **_of(rate),
            grade=None if np.isnan(self.score[index]) else grade(float(self.score[index])),
            provisional=bars.provisional is not None and bool(bars.provisional[column]),
        )

    def rows(self, rates: Mapping[tuple[str, int], HitRate]) -> list[Signal]:
        return [self.row(index, rates) for index in range(len(self))]


def find(
    window: Window, names: Sequence[str], risk: Risk, *, session: str = "regular", price: Floats | None = None
) -> Signals:
    """Return what fired on the newest row.

    `session`: "pre", "regular" or "post", where its prices are from. `price`: to enter at, if not at the close.
    """
    signs = [fired(name, window)[-1] for name in names]
    hits = [np.flatnonzero(one) for one in signs]
    pattern = np.repeat(np.arange(len(names)), [len(columns) for columns in hits])
    column = np.concatenate([*hits, np.empty(0, np.intp)])
    found = [one[columns] for one, columns in zip(signs, hits, strict=True)]
    side = np.sign(np.concatenate([*found, np.empty(0)]).astype(np.float64))
    kinds = [PATTERNS[name] for name in names]
    entry, stop = _levels(window, kinds, pattern, column, side)
    entry = entry if price is None else price[column]
    atr = _newest(window, "atr14", column)
    agreeing = factors(side, *(_newest(window, name, column) for name in ("rvol20", "ema20", "ema50", "rsi14")))
    base = np.array([float(kind.base) for kind in kinds])[pattern]
    return Signals(
        window=window,
        names=tuple(names),
        pattern=pattern,
        column=column,
        side=side,
        plan=plan.make(side, entry, stop, atr, _newest(window, "avg_dollar_volume20", column), risk),
        atr=atr,
        confidence=confidence(base, agreeing, session),
        agreeing=agreeing,
        score=_scores(window, kinds, pattern, column),
    )


def _scores(window: Window, kinds: Sequence[Pattern], pattern: Columns, column: Columns) -> Floats:
    graded = np.array([kind.graded for kind in kinds], bool)[pattern]
    if not graded.any():
        return np.full(len(column), np.nan)
    return np.where(graded, parabolic_score(window)[-1, column], np.nan)


def _levels(
    window: Window, kinds: Sequence[Pattern], pattern: Columns, column: Columns, side: Floats
) -> tuple[Floats, Floats]:
    """Return entry and wanted stop of each signal; a stop of NaN means the usual one."""
    broken = np.array([kind.entry == "break" for kind in kinds], bool)[pattern]
    end = np.where(side > 0, window.high()[-1, column], window.low()[-1, column])
    entry = np.where(broken, plan.beyond(end, side), window.close()[-1, column])
    stop = np.full(len(column), np.nan)
    lags = np.array([-1 if kind.stop_bar is None else kind.stop_bar for kind in kinds], int)[pattern]
    for lag in {kind.stop_bar for kind in kinds if kind.stop_bar is not None}:
        other_end = np.where(side > 0, window.low(lag)[-1, column], window.high(lag)[-1, column])
        stop = np.where(lags == lag, other_end, stop)
    return entry, stop


def _newest(window: Window, name: str, column: Columns) -> Floats:
    return np.asarray(window.measure(name)[-1, column])


def _known(value: np.floating[Any]) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _of(rate: HitRate | None) -> dict[str, Any]:
    if rate is None:
        return dict(hit_rate=None, hit_rate_low=None, hit_rate_high=None, hit_events=0, hit_horizon=None)
    return dict(
        hit_rate=rate.rate,
        hit_rate_low=rate.low,
        hit_rate_high=rate.high,
        hit_events=rate.events,
        hit_horizon=rate.horizon,
    )
