from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from market.bars import MinuteBar, joined

BAR = MinuteBar(
    ticker="AAPL",
    session_date=date(2026, 11, 23),
    minute=datetime(2026, 11, 23, 17, 0, tzinfo=UTC),
    open=10.0,
    high=12.0,
    low=9.0,
    close=11.0,
    volume=300,
    day_volume=1300,
    is_whole=True,
)


def test_a_correction_widens_the_bar_and_moves_its_close() -> None:
    later = replace(BAR, open=10.0, high=12.5, low=9.0, close=12.5, volume=350, day_volume=1350)
    assert joined(BAR, later) == later


def test_two_parts_of_a_minute_are_one_bar_whose_volume_is_not_known() -> None:
    part = replace(BAR, open=11.5, high=11.6, low=8.5, close=11.4, volume=None, day_volume=1500, is_whole=False)
    whole = joined(BAR, part)
    assert (whole.open, whole.high, whole.low, whole.close) == (10.0, 12.0, 8.5, 11.4)
    assert (whole.volume, whole.day_volume, whole.is_whole) == (None, 1500, False)
    assert joined(part, BAR).volume is None


def test_to_join_the_same_again_adds_nothing() -> None:
    assert joined(BAR, BAR) == BAR
