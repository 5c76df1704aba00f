"""The parts of a candle and what counts as long or short among its neighbours. Names no pattern.

A candle is measured against the mean of the candles before it; periods and factors are TA-Lib's (its table of candle
settings), so that the patterns built of these parts agree with it on every bar.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from screener.patterns.window import Flags, Floats, Signs, Window

HUNDRED = np.int16(100)


class Candles:
    """What the candle patterns ask of a window; `lag` counts bars back. Each array is made once."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._blocks: dict[str, Floats] = {}
        self._flags: dict[tuple[str, int], Flags] = {}

    def open(self, lag: int = 0) -> Floats:
        return self.window.open(lag)

    def high(self, lag: int = 0) -> Floats:
        return self.window.high(lag)

    def low(self, lag: int = 0) -> Floats:
        return self.window.low(lag)

    def close(self, lag: int = 0) -> Floats:
        return self.window.close(lag)

    def top(self, lag: int = 0) -> Floats:
        """Upper end of the body."""
        return self._cut("top", lag, lambda: np.maximum(self._price("open"), self._price("close")))

    def bottom(self, lag: int = 0) -> Floats:
        return self._cut("bottom", lag, lambda: np.minimum(self._price("open"), self._price("close")))

    def body(self, lag: int = 0) -> Floats:
        return self._cut("body", lag, lambda: np.abs(self._price("close") - self._price("open")))

    def upper(self, lag: int = 0) -> Floats:
        """Upper shadow."""
        self.top()
        return self._cut("upper", lag, lambda: self._price("high") - self._blocks["top"])

    def lower(self, lag: int = 0) -> Floats:
        self.bottom()
        return self._cut("lower", lag, lambda: self._blocks["bottom"] - self._price("low"))

    def white(self, lag: int = 0) -> Flags:
        return self._flag("white", lag, lambda: self.close(lag) >= self.open(lag))

    def black(self, lag: int = 0) -> Flags:
        return self._flag("black", lag, lambda: self.close(lag) < self.open(lag))

    def color(self, lag: int = 0) -> Signs:
        """Return 100 for a white candle, else -100."""
        return np.where(self.white(lag), HUNDRED, -HUNDRED)

    def long(self, lag: int = 0) -> Flags:
        return self._flag("long", lag, lambda: self.body(lag) > self._mean_body(lag))

    def short(self, lag: int = 0) -> Flags:
        return self._flag("short", lag, lambda: self.body(lag) < self._mean_body(lag))

    def short_or_equal(self, lag: int = 0) -> Flags:
        return self._flag("short_or_equal", lag, lambda: self.body(lag) <= self._mean_body(lag))

    def not_short(self, lag: int = 0) -> Flags:
        return self.long(lag)  # the mean is the same for long and for short

    def doji(self, lag: int = 0) -> Flags:
        return self._flag("doji", lag, lambda: self.body(lag) <= self.tenth_of_range(lag))

    def no_upper(self, lag: int = 0) -> Flags:
        """Very short upper shadow."""
        return self._flag("no_upper", lag, lambda: self.upper(lag) < self.tenth_of_range(lag))

    def no_lower(self, lag: int = 0) -> Flags:
        return self._flag("no_lower", lag, lambda: self.lower(lag) < self.tenth_of_range(lag))

    def long_upper(self, lag: int = 0) -> Flags:
        return self._flag("long_upper", lag, lambda: self.upper(lag) > self.body(lag))

    def long_lower(self, lag: int = 0) -> Flags:
        return self._flag("long_lower", lag, lambda: self.lower(lag) > self.body(lag))

    def gap_up(self, later: int, earlier: int) -> Flags:
        """Return where the later body lies wholly above the earlier one."""
        return self.bottom(later) > self.top(earlier)

    def gap_down(self, later: int, earlier: int) -> Flags:
        return self.top(later) < self.bottom(earlier)

    def tenth_of_range(self, lag: int = 0) -> Floats:
        """Limit of a doji's body and of a very short shadow: a tenth of the mean range of the 10 candles before."""
        return self._cut("tenth", lag, lambda: 0.1 * (self._sum(self._range, 10) / 10.0))

    def half_of_shadows(self, lag: int = 0) -> Floats:
        """Limit of a short shadow: half of the mean of both shadows of the 10 candles before."""
        return self._cut("shadows", lag, lambda: 1.0 * (self._sum(self._shadows, 10) / 10.0) / 2.0)

    def near(self, lag: int = 0) -> Floats:
        return self._share_of_range("near", 0.2, lag)

    def far(self, lag: int = 0) -> Floats:
        return self._share_of_range("far", 0.6, lag)

    def equal(self, lag: int = 0) -> Floats:
        """How far apart two prices may be and still count as equal."""
        return self._share_of_range("equal", 0.05, lag)

    def _share_of_range(self, name: str, factor: float, lag: int) -> Floats:
        return self._cut(name, lag, lambda: factor * (self._sum(self._range, 5) / 5.0))

    def _mean_body(self, lag: int) -> Floats:
        self.body()
        return self._cut("mean_body", lag, lambda: self._sum(lambda: self._blocks["body"], 10) / 10.0)

    def _range(self) -> Floats:
        return self._price("high") - self._price("low")

    def _shadows(self) -> Floats:
        self.upper(), self.lower()
        return self._blocks["upper"] + self._blocks["lower"]

    def _sum(self, values: Callable[[], Floats], count: int) -> Floats:
        """Return the sum of the `count` rows before each row; missing bars count as 0 and are masked by the caller."""
        total = np.nan_to_num(values(), copy=True)
        np.cumsum(total, axis=0, out=total)
        sums = np.zeros_like(total)
        sums[count + 1 :] = total[count:-1] - total[: -count - 1]
        sums[count] = total[count - 1]
        return sums

    def _price(self, field: str) -> Floats:
        return self.window.block(field)

    def _cut(self, name: str, lag: int, make: Callable[[], Floats]) -> Floats:
        if name not in self._blocks:
            self._blocks[name] = make()
        return self.window.cut(self._blocks[name], lag)

    def _flag(self, name: str, lag: int, make: Callable[[], Flags]) -> Flags:
        if (name, lag) not in self._flags:
            self._flags[name, lag] = make()
        return self._flags[name, lag]


def every(*conditions: Flags) -> Flags:
    """Return where all conditions hold."""
    found = conditions[0]
    for condition in conditions[1:]:
        found = found & condition
    return found


def signed(bullish: Flags, bearish: Flags) -> Signs:
    """Return 100 where the first holds, -100 where the second does."""
    return HUNDRED * bullish.astype(np.int16) - HUNDRED * bearish.astype(np.int16)


def bullish(found: Flags) -> Signs:
    return HUNDRED * found.astype(np.int16)


def bearish(found: Flags) -> Signs:
    return -HUNDRED * found.astype(np.int16)
