"""Every measure by its name: unit, what it says, how many bars it needs. Computes nothing until a frame is asked.

frame = Frame(bars, rows=2)
frame["rsi14"][-1]      # each ticker's newest value
frame["rsi14"][-2]      # the bar before
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from core.errors import FixByHand
from screener.cube.bars import Floats
from screener.measures import averages, momentum, price, rating, trend
from screener.measures.panel import Panel

Compute = Callable[[Panel, int], Floats]
LONGEST = 1000  # bars of a window in a name such as sma1000
FAMILY = re.compile(r"([a-z_]+?)([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`compute(panel, rows)` gives (rows, N). `warmup_bars`: bars until its first value. `flag`: it is 1, 0 or NaN.

    `of_market`: it ranks a ticker among all, so `screener.measures.market` computes it; `compute` gives the raw value.
    """

    name: str
    unit: str
    doc: str
    warmup_bars: int
    compute: Compute
    flag: bool = False
    of_market: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Measures that differ in the length of their window alone: `times` the length, and `roots` its root, and
    `extra_bars` are the bars until the first value."""

    unit: str
    doc: str
    extra_bars: int
    compute: Callable[[Panel, int, int], Floats]
    shortest: int = 2
    times: int = 1
    roots: int = 0


FAMILIES: dict[str, Family] = {
    "sma": Family(unit="price", doc="mean of {n} closes", extra_bars=0, compute=averages.sma),
    "ema": Family(unit="price", doc="exponential mean, alpha 2 / ({n} + 1)", extra_bars=0, compute=averages.ema),
    "hma": Family(
        unit="price", doc="Hull's mean of {n} closes", extra_bars=-1, compute=averages.hull, shortest=4, roots=1
    ),
    "vwma": Family(unit="price", doc="mean of {n} closes by volume", extra_bars=0, compute=averages.volume_weighted),
    "vwap": Family(unit="price", doc="mean of {n} typical prices by volume", extra_bars=0, compute=averages.vwap),
    "rsi": Family(unit="0-100", doc="Wilder's RSI of {n} changes", extra_bars=1, compute=momentum.rsi),
    "atr": Family(unit="price", doc="Wilder's average true range of {n}", extra_bars=1, compute=trend.atr),
    "atr_percent": Family(unit="percent", doc="atr{n} of the close", extra_bars=1, compute=trend.atr_percent),
    "adr_percent": Family(unit="percent", doc="mean high / low - 1 of {n}", extra_bars=0, compute=trend.daily_range),
    "adx": Family(unit="0-100", doc="Wilder's ADX of {n}", extra_bars=0, compute=trend.adx, times=2),
    "plus_di": Family(unit="0-100", doc="+DI of {n}", extra_bars=1, compute=trend.plus_di),
    "minus_di": Family(unit="0-100", doc="-DI of {n}", extra_bars=1, compute=trend.minus_di),
    "cci": Family(unit="number", doc="CCI of {n}", extra_bars=0, compute=momentum.cci),
    "mfi": Family(unit="0-100", doc="money flow index of {n}", extra_bars=1, compute=momentum.money_flow),
    "wr": Family(unit="-100-0", doc="Williams %R of {n}", extra_bars=0, compute=momentum.williams),
    "fast_k": Family(unit="0-100", doc="close in the range of {n}", extra_bars=0, compute=momentum.fast_k),
    "momentum": Family(
        unit="price", doc="close less that {n} before", extra_bars=1, compute=momentum.momentum, shortest=1
    ),
    "roc": Family(
        unit="percent", doc="change over {n} bars", extra_bars=1, compute=momentum.rate_of_change, shortest=1
    ),
    "stdev": Family(unit="price", doc="standard deviation of {n} closes", extra_bars=0, compute=averages.deviation),
    "highest": Family(unit="price", doc="highest high of {n}", extra_bars=0, compute=averages.highest),
    "lowest": Family(unit="price", doc="lowest low of {n}", extra_bars=0, compute=averages.lowest),
    "prior_highest": Family(
        unit="price",
        doc="highest high of the {n} before the newest",
        extra_bars=1,
        compute=price.prior_highest,
        shortest=1,
    ),
    "prior_lowest": Family(
        unit="price",
        doc="lowest low of the {n} before the newest",
        extra_bars=1,
        compute=price.prior_lowest,
        shortest=1,
    ),
    "avg_volume": Family(unit="shares", doc="mean volume of {n}", extra_bars=0, compute=price.mean_volume),
    "avg_dollar_volume": Family(
        unit="USD", doc="mean close x volume of {n}", extra_bars=0, compute=price.mean_dollar_volume
    ),
    "rvol": Family(
        unit="times", doc="volume against the mean of the {n} before", extra_bars=1, compute=price.relative_volume
    ),
}

LENGTHS: dict[str, tuple[int, ...]] = {
    "sma": (5, 10, 20, 30, 50, 100, 150, 200),
    "ema": (5, 9, 10, 12, 20, 26, 30, 50, 100, 200),
    "hma": (9,),
    "vwma": (20,),
    "vwap": (20,),
    "rsi": (2, 14),
    "atr": (14, 20),
    "atr_percent": (14,),
    "adr_percent": (20,),
    "adx": (14,),
    "plus_di": (14,),
    "minus_di": (14,),
    "cci": (14, 20),
    "mfi": (14,),
    "wr": (14,),
    "fast_k": (14,),
    "momentum": (10,),
    "roc": (1, 5, 10, 20, 63, 126, 252),
    "stdev": (20,),
    "highest": (20, 252),
    "lowest": (20, 252),
    "prior_highest": (20, 252),
    "prior_lowest": (20, 252),
    "avg_volume": (20, 50),
    "avg_dollar_volume": (20,),
    "rvol": (5, 20),
}
"""What is listed and computed for everyone; any other length of a family may be asked for by name."""


def _bar(name: str) -> Compute:
    return lambda panel, rows: panel.lag(name, 0, rows)


def _part(function: Callable[[Panel, int], tuple[Floats, ...]], part: int) -> Compute:
    return lambda panel, rows: function(panel, rows)[part]


def _number(name: str, unit: str, doc: str, warmup_bars: int, compute: Compute) -> Measure:
    return Measure(name=name, unit=unit, doc=doc, warmup_bars=warmup_bars, compute=compute)


def _flag(name: str, doc: str, warmup_bars: int, compute: Compute) -> Measure:
    return Measure(name=name, unit="yes", doc=doc, warmup_bars=warmup_bars, compute=compute, flag=True)


SINGLE = (
    *(_number(name, "price", f"{name} of the bar", 1, _bar(name)) for name in ("open", "high", "low", "close")),
    _number("volume", "shares", "volume of the bar", 1, _bar("volume")),
    _number("dollar_volume", "USD", "close x volume", 1, price.dollar_volume),
    _number("change_percent", "percent", "since the close before", 2, lambda p, r: momentum.rate_of_change(p, 1, r)),
    _number("streak", "bars", "closes in a row that rose, or fell (negative); at most 10", 2, price.streak),
    _number("gap_percent", "percent", "open against the close before", 2, price.gap_percent),
    _number("gap_atr", "times", "the gap in units of the ATR14 before it", 16, price.gap_atr),
    _number("macd", "price", "EMA12 - EMA26", 34, momentum.macd),
    _number("macd_signal", "price", "EMA9 of macd", 34, momentum.macd_signal),
    _number("macd_hist", "price", "macd - macd_signal", 34, momentum.macd_histogram),
    _number("bb_upper", "price", "SMA20 + 2 standard deviations of the population", 20, averages.band_upper),
    _number("bb_middle", "price", "SMA20", 20, lambda p, r: averages.sma(p, 20, r)),
    _number("bb_lower", "price", "SMA20 - 2 standard deviations", 20, averages.band_lower),
    _number("bb_width", "percent", "distance of the bands of their middle", 20, averages.band_width),
    _number("bb_percent", "0-1", "the close between the bands", 20, averages.band_place),
    _number("kc_upper", "price", "SMA20 + 1.5 mean true ranges of 20", 21, averages.keltner_upper),
    _number("kc_lower", "price", "SMA20 - 1.5 mean true ranges of 20", 21, averages.keltner_lower),
    _flag("squeeze_on", "the Bollinger bands lie inside the Keltner channel", 21, averages.squeeze_on),
    _number(
        "squeeze_momentum", "price", "direction of a squeeze: end of the line of 20", 39, averages.squeeze_momentum
    ),
    _flag("bb_width_squeeze", "the bands are as narrow as never in 126 bars", 145, averages.width_squeeze),
    _number("stoch_k", "0-100", "%K 14, smoothed over 3", 16, momentum.stochastic_k),
    _number("stoch_d", "0-100", "mean of 3 stoch_k", 18, momentum.stochastic_d),
    _number("stochrsi_k", "0-100", "RSI14 in its range of 14, smoothed over 3", 30, _part(momentum.stochastic_rsi, 0)),
    _number("stochrsi_d", "0-100", "mean of 3 stochrsi_k", 32, _part(momentum.stochastic_rsi, 1)),
    _number("awesome", "price", "awesome oscillator 5/34", 34, momentum.awesome),
    _number("ultimate", "0-100", "ultimate oscillator 7/14/28", 29, momentum.ultimate),
    _number("distance_52w_high", "percent", "close against the highest high of 252 bars, <= 0", 252, price.from_high),
    _number("distance_52w_low", "percent", "close against the lowest low of 252 bars, >= 0", 252, price.from_low),
    _flag("new_high_52w", "the close is above every high of the 252 bars before", 253, price.new_high),
    _flag("new_low_52w", "the close is below every low of the 252 bars before", 253, price.new_low),
    _flag("near_high_52w", "the close is within 3 % below the high of the 252 bars before", 253, price.near_high),
    _number("momentum_12_1", "percent", "change from 252 to 21 bars ago", 253, price.momentum_12_1),
    _number("rs_raw", "percent", "0.4 P63 + 0.2 P126 + 0.2 P189 + 0.2 P252", 253, price.relative_strength),
    _number("tech_rating_ma", "-1-1", "mean of 15 votes of averages", 10, rating.of_averages),
    _number("tech_rating_osc", "-1-1", "mean of 11 votes of oscillators", 12, rating.of_oscillators),
    _number("tech_rating", "0-100", "50 (1 + mean of both groups of votes)", 10, rating.technical_rating),
    Measure(
        name="rs_rating",
        unit="1-99",
        doc="place of rs_raw in the market",
        warmup_bars=253,
        compute=price.relative_strength,
        of_market=True,
    ),
    Measure(
        name="alpha_score",
        unit="0-100",
        doc="place in the market of the weighted sum of five standard scores, see screener.measures.market",
        warmup_bars=253,
        compute=price.relative_strength,
        of_market=True,
    ),
)


def _member(name: str, family: Family, length: int) -> Measure:
    def compute(panel: Panel, rows: int) -> Floats:
        return family.compute(panel, length, rows)

    warmup_bars = length * family.times + round(length**0.5) * family.roots + family.extra_bars
    return _number(f"{name}{length}", family.unit, family.doc.format(n=length), warmup_bars, compute)


CATALOGUE: dict[str, Measure] = {measure.name: measure for measure in SINGLE} | {
    f"{name}{length}": _member(name, FAMILIES[name], length) for name, lengths in LENGTHS.items() for length in lengths
}


@cache
def find(name: str) -> Measure | None:
    """Return the measure of that name, of the catalogue or of a family; None if there is none."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    match = FAMILY.fullmatch(name)
    family = FAMILIES.get(match[1]) if match else None
    if match is None or family is None or not family.shortest <= int(match[2]) <= LONGEST:
        return None
    return _member(match[1], family, int(match[2]))


class UnknownMeasure(FixByHand):
    """Nothing is measured under that name."""

    def __init__(self, name: str) -> None:
        super().__init__("is no measure", key=name, right="one of `tickerd scan fields`")


class Frame(Panel):
    """A panel that is asked by name. A measure of the market's gives its raw value here."""

    def __getitem__(self, name: str) -> Floats:
        """Return (rows, N)."""
        return self.value(name, self.rows)

    def value(self, name: str, rows: int) -> Floats:
        """Return (rows, N), whatever the frame's own number of rows."""
        measure = find(name)
        if measure is None:
            raise UnknownMeasure(name)
        key = ("value", name, rows)
        if key not in self.cache:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                self.cache[key] = measure.compute(self, rows)
        found = self.cache[key]
        assert isinstance(found, np.ndarray)
        return found
