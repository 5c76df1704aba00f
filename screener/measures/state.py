"""What must be kept of the completed bars so that new prices are measured without looking at a bar again.

A new price costs the same few operations however long the history is: sums without the oldest bar, averages, levels of
the bars before. The values equal those of all bars with the price as a provisional last one, but for an average whose
first value falls on the running bar: it comes with the close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from screener.cube.bars import FIELDS, Bars, Days, Floats
from screener.cube.live import Live
from screener.measures import averages, momentum, price, trend
from screener.measures.averages import BANDS
from screener.measures.catalogue import Frame
from screener.measures.kernels import newest, window_deviation, window_max, window_mean, window_min, window_sum
from screener.measures.market import blocks
from screener.measures.momentum import ratio
from screener.measures.price import NEAR_PERCENT, YEAR, yes_or_no

SUMS = (20, 50, 150, 200)
EMAS = (9, 20, 50, 200)
CHANGES = (1, 5, 10, 20)
INSIDE_MARGIN = 0.001  # a break of an inside bar goes a thousandth beyond it
NAMES = frozenset(
    (
        *FIELDS,
        *(f"sma{length}" for length in SUMS),
        *(f"ema{length}" for length in EMAS),
        *(f"roc{bars}" for bars in CHANGES),
        *("rsi14", "macd", "macd_signal", "macd_hist", "bb_upper", "bb_middle", "bb_lower", "change_percent"),
        *("atr14", "atr_percent14", "fast_k14", "wr14", "distance_52w_high", "distance_52w_low"),
        *("new_high_52w", "new_low_52w", "near_high_52w", "dollar_volume", "gap_percent", "gap_atr", "rvol20"),
    )
)
"""The measures that `State.values` gives, beside the breaks of an inside bar."""


@dataclass(frozen=True, slots=True)
class State:
    """Arrays (N,) of each ticker's completed bars by what they hold; `session`: of its newest one."""

    held: dict[str, Floats]
    session: Days

    @classmethod
    def of(cls, bars: Bars) -> State:
        """Return the state of `bars`, of which none may be provisional."""
        held: dict[str, Floats] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            for block in blocks(bars.width):
                frame = Frame(bars.columns(block))
                for name, values in (_levels(frame) | _averages(frame)).items():
                    held.setdefault(name, np.empty(bars.width))[block] = values
        return cls(held, bars.session[-1].copy() if bars.rows else np.zeros(bars.width, np.int32))

    def values(self, live: Live) -> dict[str, Floats]:
        """Return (N,) by name of measure, as of these prices; NaN for a ticker without one.

        So also for one whose bar of the session is among the completed ones: nothing of it is provisional any more.
        """
        runs = live.known & (self.session < live.day)
        running = Live(day=live.day, **{name: np.where(runs, getattr(live, name), np.nan) for name in FIELDS})
        with np.errstate(divide="ignore", invalid="ignore"):
            return _of_price(self.held, running) | _of_range(self.held, running) | _of_bar(self.held, running)


def _levels(panel: Frame) -> dict[str, Floats]:
    """Closes, highs and lows of the bars before, and sums without the bar that falls out."""
    closes = panel.close
    held = {f"close{bars}": newest(closes, 1, lag=bars - 1)[0] for bars in CHANGES}
    held |= {name: panel.lag(name)[0] for name in ("high", "low")}
    held |= {f"sum{length}": window_sum(closes, length - 1, 1)[0] for length in SUMS}
    held["mean19"] = window_mean(closes, 19, 1)[0]
    held["squares19"] = window_deviation(closes, 19, 1)[0] ** 2 * 19
    for length in (14, YEAR):
        held[f"top{length}"] = window_max(panel.high, length - 1, 1)[0]
        held[f"bottom{length}"] = window_min(panel.low, length - 1, 1)[0]
    held["prior_top"] = window_max(panel.high, YEAR, 1)[0]
    held["prior_bottom"] = window_min(panel.low, YEAR, 1)[0]
    held["volume"] = price.mean_volume(panel, 20, 1)[0]
    before = [newest(side, 1, lag=1)[0] for side in (panel.high, panel.low)]
    held["inside"] = ((held["high"] < before[0]) & (held["low"] > before[1])).astype(np.float64)
    return held


def _averages(panel: Frame) -> dict[str, Floats]:
    gain, move = momentum.average_moves(panel, 14, 1)[0]
    fast, slow = momentum.macd_averages(panel, 1)
    held = {"gain": gain, "move": move, "fast": fast[0], "slow": slow[0]}
    held["signal"] = momentum.macd_signal(panel, 1)[0]
    held["atr"] = trend.atr(panel, 14, 1)[0]
    return held | {f"ema{length}": averages.ema(panel, length, 1)[0] for length in EMAS}


def _of_price(held: dict[str, Floats], live: Live) -> dict[str, Floats]:
    """What the price alone decides."""
    now = live.close
    out = {f"sma{length}": (held[f"sum{length}"] + now) / length for length in SUMS}
    for length in EMAS:
        out[f"ema{length}"] = _rolled(held[f"ema{length}"], now, 2 / (length + 1))
    change = now - held["close1"]
    gain = _rolled(held["gain"], np.maximum(change, 0.0), 1 / 14)
    out["rsi14"] = 100 * ratio(gain, _rolled(held["move"], np.abs(change), 1 / 14))
    out["macd"] = _rolled(held["fast"], now, 2 / 13) - _rolled(held["slow"], now, 2 / 27)
    out["macd_signal"] = _rolled(held["signal"], out["macd"], 0.2)
    out["macd"] = np.where(np.isnan(out["macd_signal"]), np.nan, out["macd"])
    out["macd_hist"] = out["macd"] - out["macd_signal"]
    out |= {f"roc{bars}": 100 * (now / held[f"close{bars}"] - 1) for bars in CHANGES}
    apart = now - held["mean19"]
    width = BANDS * np.sqrt((held["squares19"] + apart * apart * (19 / 20)) / 20)
    bands = {"bb_upper": out["sma20"] + width, "bb_middle": out["sma20"], "bb_lower": out["sma20"] - width}
    return out | bands | {"change_percent": out["roc1"]}


def _rolled(average: Floats, now: Floats, alpha: float) -> Floats:
    return average + alpha * (now - average)


def _of_range(held: dict[str, Floats], live: Live) -> dict[str, Floats]:
    """What the session's range decides."""
    now = live.close
    reach = np.maximum(live.high, held["close1"]) - np.minimum(live.low, held["close1"])
    atr = _rolled(held["atr"], reach, 1 / 14)
    top, bottom = np.maximum(held["top14"], live.high), np.minimum(held["bottom14"], live.low)
    fast_k = 100 * ratio(now - bottom, top - bottom)
    year_top, year_bottom = np.maximum(held[f"top{YEAR}"], live.high), np.minimum(held[f"bottom{YEAR}"], live.low)
    level, floor = held["prior_top"], held["prior_bottom"]
    near = (now <= level) & (now >= level * (1 - NEAR_PERCENT / 100))
    return {
        "atr14": atr,
        "atr_percent14": 100 * atr / now,
        "fast_k14": fast_k,
        "wr14": -100 * ratio(top - now, top - bottom),
        "distance_52w_high": 100 * (now / year_top - 1),
        "distance_52w_low": 100 * (now / year_bottom - 1),
        "new_high_52w": yes_or_no(now > level, now, level),
        "new_low_52w": yes_or_no(now < floor, now, floor),
        "near_high_52w": yes_or_no(near, now, level),
    }


def _of_bar(held: dict[str, Floats], live: Live) -> dict[str, Floats]:
    """What open, volume and the bar before decide; the breaks of an inside bar are 1 or 0."""
    now, inside = live.close, held["inside"] > 0
    return {name: getattr(live, name) for name in FIELDS} | {
        "dollar_volume": now * live.volume,
        "gap_percent": 100 * (live.open / held["close1"] - 1),
        "gap_atr": ratio(live.open - held["close1"], held["atr"]),
        "rvol20": ratio(live.volume, held["volume"]),
        "inside_break_up": yes_or_no(inside & (now > held["high"] * (1 + INSIDE_MARGIN)), now, held["inside"]),
        "inside_break_down": yes_or_no(inside & (now < held["low"] * (1 - INSIDE_MARGIN)), now, held["inside"]),
    }
