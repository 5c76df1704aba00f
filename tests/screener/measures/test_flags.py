from __future__ import annotations

import numpy as np

from screener.cube.bars import align
from screener.cube.live import nothing_yet, with_live, with_quotes
from screener.measures.flags import Flag, flags_of, words
from tests.fix_screener import FIRST_DAY, closes, walk, walked


def test_fewer_than_120_bars_are_warming() -> None:
    assert flags_of(walked(120, 119, 1)).tolist() == [0, Flag.WARMING, Flag.WARMING]


def test_a_price_without_a_move_in_14_bars_is_flat() -> None:
    assert flags_of(closes(*range(1, 120), *[9.0] * 14)).tolist() == [Flag.FLAT]
    assert flags_of(closes(*range(1, 120), *[9.0] * 13)).tolist() == [0]
    assert flags_of(closes(9.0, 9.0)).tolist() == [Flag.WARMING]


def test_an_unknown_volume_is_missing_while_it_is_among_the_last_20() -> None:
    bars = walked(130, 130, 10)
    bars.volume[-20, 0] = bars.volume[-21, 1] = np.nan
    assert flags_of(bars).tolist() == [Flag.MISSING, 0, Flag.WARMING]


def test_a_halted_ticker_is_stale() -> None:
    bars = align([*walk([130]), *walk([130], newest_day=FIRST_DAY + 399)])
    assert flags_of(bars).tolist() == [0, Flag.STALE]
    assert flags_of(bars.columns(slice(1, 2)), newest_day=FIRST_DAY + 400).tolist() == [Flag.STALE]


def test_a_price_of_the_running_session_is_provisional() -> None:
    quote = ("T0", 1.0, 2.0, 1.0, 1.5, 10, True)
    live = with_quotes(nothing_yet(2, FIRST_DAY + 401), {"T0": 0}, [quote])
    assert flags_of(with_live(walked(130, 130), live)).tolist() == [Flag.PROVISIONAL, Flag.STALE]


def test_no_bar_at_all_is_empty() -> None:
    assert words(int(flags_of(walked(130, 0))[1])) == ["warming", "empty"]
    assert words(int(flags_of(walked(0))[0])) == ["warming", "empty"]


def test_flags_are_told_in_words() -> None:
    assert words(Flag.WARMING | Flag.STALE) == ["warming", "stale"] and words(0) == []
