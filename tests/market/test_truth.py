from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from market.truth import DayNumbers, Difference, Held, differences, same, sample, why_odd

DAY = DayNumbers(open=10.0, high=10.6, low=9.9, close=10.5, volume=2_000_000)
SOUND = Held(ticker="A", bar=DAY, row=DAY, witness=DAY, traded=True, close_before=10.1, usual_volume=1_500_000)


def test_a_price_is_the_same_to_the_last_digit_of_a_32_bit_float() -> None:
    assert same("close", 131.96, 131.9600067138672)
    assert not same("close", 131.96, 131.97)
    assert not same("close", 0.0001, 0.0002)
    assert same("close", 718_123.45, 718_123.44)


def test_a_volume_may_grow_by_late_reports_and_hardly_shrink() -> None:
    assert same("volume", 2_000_000, 2_490_000)
    assert not same("volume", 2_000_000, 2_600_000)
    assert same("volume", 2_000_000, 1_910_000)
    assert not same("volume", 2_000_000, 1_800_000)
    assert same("volume", 100, 900)
    assert not same("volume", 100, 2_000)


def test_each_number_that_differs_is_named_by_its_column() -> None:
    told = replace(DAY, close=10.51, volume=9_000_000)
    assert differences(SOUND, told) == [
        Difference(field="bar_close", held=10.5, told=10.51),
        Difference(field="bar_volume", held=2_000_000, told=9_000_000),
        Difference(field="current_price", held=10.5, told=10.51),
        Difference(field="volume", held=2_000_000, told=9_000_000),
    ]
    assert differences(SOUND, DAY) == []


def test_a_number_that_one_side_does_not_say_is_not_compared() -> None:
    assert differences(SOUND, DayNumbers(close=10.5)) == []


def test_sound_numbers_are_not_odd() -> None:
    assert why_odd(SOUND) is None
    assert why_odd(Held(ticker="A", bar=None, row=None)) is None
    assert why_odd(Held(ticker="A", bar=None, row=None, traded=False)) is None


@pytest.mark.parametrize(
    ("held", "rule"),
    [
        (replace(SOUND, bar=None), "no_bar"),
        (replace(SOUND, traded=False, witness=None), "no_trade"),
        (replace(SOUND, bar=replace(DAY, close=10.49)), "witness"),
        (replace(SOUND, bar=replace(DAY, volume=1)), "witness_volume"),
        (replace(SOUND, bar=replace(DAY, volume=1, low=9.8)), "witness"),
        (replace(SOUND, witness=None, bar=replace(DAY, high=10.7)), "row_and_bar"),
        (replace(SOUND, witness=None, bar=replace(DAY, close=11.0), row=None), "order"),
        (replace(SOUND, witness=None, bar=replace(DAY, high=20.0), row=None), "high"),
        (replace(SOUND, close_before=1050.0), "close"),  # cents for dollars
        (replace(SOUND, close_before=5.25), "close"),  # a split that only one of them knows
        (replace(SOUND, usual_volume=15_000), "volume"),
    ],
)
def test_each_oddity_has_its_rule(held: Held, rule: str) -> None:
    assert why_odd(held) == rule


def test_the_sample_of_a_session_is_always_the_same() -> None:
    tickers = [f"T{number}" for number in range(1000)]
    chosen = sample(tickers, session_date=date(2026, 11, 23))
    assert len(set(chosen)) == 100
    assert chosen == sample(reversed(tickers), session_date=date(2026, 11, 23))
    assert chosen != sample(tickers, session_date=date(2026, 11, 24))
    assert sample(["A"], session_date=date(2026, 11, 23)) == ["A"]
