"""Every candle pattern by name, with the bars that it needs before it. Finds them; judges none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from screener.patterns.candles import many, one, three, two
from screener.patterns.candles.parts import Candles
from screener.patterns.window import Signs


@dataclass(frozen=True, slots=True)
class Candle:
    """`find`: 100 bullish, -100 bearish, 0 none (some also 80 and 200); `before`: bars that must precede; TA-Lib's."""

    find: Callable[[Candles], Signs]
    before: int


CANDLES = {
    "cdl2crows": Candle(three.two_crows, 12),
    "cdl3blackcrows": Candle(many.three_black_crows, 13),
    "cdl3inside": Candle(three.three_inside, 12),
    "cdl3linestrike": Candle(many.three_line_strike, 8),
    "cdl3outside": Candle(three.three_outside, 3),
    "cdl3starsinsouth": Candle(three.three_stars_in_south, 12),
    "cdl3whitesoldiers": Candle(three.three_white_soldiers, 12),
    "cdlabandonedbaby": Candle(three.abandoned_baby, 12),
    "cdladvanceblock": Candle(three.advance_block, 12),
    "cdlbelthold": Candle(one.belt_hold, 10),
    "cdlbreakaway": Candle(many.breakaway, 14),
    "cdlclosingmarubozu": Candle(one.closing_marubozu, 10),
    "cdlconcealbabyswall": Candle(many.conceal_baby_swallow, 13),
    "cdlcounterattack": Candle(two.counterattack, 11),
    "cdldarkcloudcover": Candle(two.dark_cloud_cover, 11),
    "cdldoji": Candle(one.doji, 10),
    "cdldojistar": Candle(two.doji_star, 11),
    "cdldragonflydoji": Candle(one.dragonfly_doji, 10),
    "cdlengulfing": Candle(two.engulfing, 2),
    "cdleveningdojistar": Candle(three.evening_doji_star, 12),
    "cdleveningstar": Candle(three.evening_star, 12),
    "cdlgapsidesidewhite": Candle(three.gap_side_by_side_white, 7),
    "cdlgravestonedoji": Candle(one.gravestone_doji, 10),
    "cdlhammer": Candle(one.hammer, 11),
    "cdlhangingman": Candle(one.hanging_man, 11),
    "cdlharami": Candle(two.harami, 11),
    "cdlharamicross": Candle(two.harami_cross, 11),
    "cdlhighwave": Candle(one.high_wave, 10),
    "cdlhikkake": Candle(three.hikkake, 5),
    "cdlhikkakemod": Candle(many.modified_hikkake, 10),
    "cdlhomingpigeon": Candle(two.homing_pigeon, 11),
    "cdlidentical3crows": Candle(three.identical_three_crows, 12),
    "cdlinneck": Candle(two.in_neck, 11),
    "cdlinvertedhammer": Candle(one.inverted_hammer, 11),
    "cdlkicking": Candle(two.kicking, 11),
    "cdlkickingbylength": Candle(two.kicking_by_length, 11),
    "cdlladderbottom": Candle(many.ladder_bottom, 14),
    "cdllongleggeddoji": Candle(one.long_legged_doji, 10),
    "cdllongline": Candle(one.long_line, 10),
    "cdlmarubozu": Candle(one.marubozu, 10),
    "cdlmatchinglow": Candle(two.matching_low, 6),
    "cdlmathold": Candle(many.mat_hold, 14),
    "cdlmorningdojistar": Candle(three.morning_doji_star, 12),
    "cdlmorningstar": Candle(three.morning_star, 12),
    "cdlonneck": Candle(two.on_neck, 11),
    "cdlpiercing": Candle(two.piercing, 11),
    "cdlrickshawman": Candle(one.rickshaw_man, 10),
    "cdlrisefall3methods": Candle(many.rise_fall_three_methods, 14),
    "cdlseparatinglines": Candle(two.separating_lines, 11),
    "cdlshootingstar": Candle(one.shooting_star, 11),
    "cdlshortline": Candle(one.short_line, 10),
    "cdlspinningtop": Candle(one.spinning_top, 10),
    "cdlstalledpattern": Candle(three.stalled_pattern, 12),
    "cdlsticksandwich": Candle(three.stick_sandwich, 7),
    "cdltakuri": Candle(one.takuri, 10),
    "cdltasukigap": Candle(three.tasuki_gap, 7),
    "cdlthrusting": Candle(two.thrusting, 11),
    "cdltristar": Candle(three.tristar, 12),
    "cdlunique3river": Candle(three.unique_three_river, 12),
    "cdlupsidegap2crows": Candle(three.upside_gap_two_crows, 12),
    "cdlxsidegap3methods": Candle(three.side_gap_three_methods, 2),
}
"""TA-Lib's, under its names in small letters."""

OWN = {"hammer_classic": Candle(one.hammer_classic, 10)}


def find(name: str, at: Candles) -> Signs:
    """Return what the pattern gives on each row; 0 where too few bars precede it."""
    candle = CANDLES[name] if name in CANDLES else OWN[name]
    return candle.find(at) * at.window.has_bars(candle.before)
