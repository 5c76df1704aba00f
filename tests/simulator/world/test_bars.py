from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest

from simulator.world.bars import TAPE_MINUTES, Bar, Tape, merged, minutes_of, packed, scaled, unpacked

OPEN_S = 1_795_444_200  # 2026-11-23 09:30 in New York
DAY = Bar(at_s=OPEN_S, open=100.0, high=103.5, low=98.25, close=101.0, volume=1_000_000)


def cut(day: Bar = DAY, *, trades: int = 10_000, until_s: int = OPEN_S + 23_400, seed: int = 1) -> list[Bar]:
    return minutes_of(day, from_s=OPEN_S, until_s=until_s, trades=trades, digits=2, dice=random.Random(seed))


def test_minutes_merge_into_the_day_that_they_were_cut_from() -> None:
    minutes = cut()

    assert len(minutes) == 390
    assert merged(minutes) == DAY
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in minutes)
    assert [bar.at_s for bar in minutes] == list(range(OPEN_S, OPEN_S + 23_400, 60))
    assert all(bar.volume >= 1 for bar in minutes)


def test_a_minute_s_open_is_the_close_before_it() -> None:
    minutes = cut()

    assert all(after.open == before.close for before, after in pairwise(minutes))


@pytest.mark.parametrize(("trades", "volume", "expected"), [(3, 1_000, 3), (100, 2, 2), (1, 50, 1), (5, 0, 0)])
def test_a_seldom_traded_ticker_has_minutes_without_a_bar(trades: int, volume: int, expected: int) -> None:
    day = DAY._replace(volume=volume)
    minutes = cut(day, trades=trades)

    assert len(minutes) == expected
    if minutes:
        assert merged(minutes)._replace(at_s=OPEN_S) == day


def test_the_same_dice_give_the_same_minutes() -> None:
    assert cut(seed=5) == cut(seed=5) != cut(seed=6)


def test_bars_are_kept_in_28_bytes_with_prices_in_single_precision() -> None:
    data = packed([DAY._replace(close=225.7)])

    assert len(data) == 28
    # 225.69999694824219 is how Yahoo shows 225.7 (AAPL, 2024-10-02).
    assert unpacked(data) == [DAY._replace(close=struct.unpack("<f", struct.pack("<f", 225.7))[0])]
    assert unpacked(data)[0].close == 225.6999969482422


def test_a_split_divides_prices_and_multiplies_shares() -> None:
    assert scaled(DAY, 4.0, 4) == Bar(OPEN_S, 25.0, 25.875, 24.5625, 25.25, 4_000_000)


def test_a_tape_makes_a_bar_a_minute_of_the_trades_and_skips_minutes_without() -> None:
    tape = Tape()
    for second, price, size in ((0, 10.0, 5), (1, 12.0, 1), (59, 9.0, 1), (180, 11.0, 7)):
        tape.add(price, size, OPEN_S + second)

    assert tape.bars() == [Bar(OPEN_S, 10.0, 12.0, 9.0, 9.0, 7), Bar(OPEN_S + 180, 11.0, 11.0, 11.0, 11.0, 7)]


def test_in_an_endless_session_old_minutes_melt_into_what_was_before_and_nothing_is_lost() -> None:
    before = Bar(OPEN_S, 1.0, 2.0, 0.5, 1.0, 100)
    tape = Tape(before)
    minutes = TAPE_MINUTES + 20
    for minute in range(minutes):
        tape.add(1.0 + minute, 1, OPEN_S + 60 * minute)

    assert tape.before is not None
    whole = merged([tape.before, *tape.bars()])
    assert whole == Bar(OPEN_S, 1.0, float(minutes), 0.5, float(minutes), 100 + minutes)
    assert len(tape.bars()) <= TAPE_MINUTES + 1


def test_a_tape_is_restated_after_a_split_and_goes_on() -> None:
    tape = Tape(DAY)
    tape.add(104.0, 10, OPEN_S + 60)
    tape.add(108.0, 10, OPEN_S + 120)
    tape.rescale(4.0, 4)
    tape.add(26.0, 10, OPEN_S + 125)

    assert tape.before == scaled(DAY, 4.0, 4)
    assert tape.bars() == [
        Bar(OPEN_S + 60, 26.0, 26.0, 26.0, 26.0, 40),
        Bar(OPEN_S + 120, 27.0, 27.0, 26.0, 26.0, 50),
    ]
