from __future__ import annotations

from dataclasses import astuple
from datetime import date, timedelta

from market.bars import DayBar
from scanners.daily.history import verdict

TODAY = date(2026, 11, 23)


def day(ago: int, close: float = 10.0, adjusted: float | None = 10.0) -> DayBar:
    on = TODAY - timedelta(days=ago)
    return DayBar(on, close, close, close, close, adjusted, 100)


def days(*ago: int, close: float = 10.0, adjusted: float | None = 10.0) -> list[DayBar]:
    return [day(each, close, adjusted) for each in ago]


def test_a_ticker_without_bars_gets_all_up_to_the_session() -> None:
    assert astuple(verdict([], days(2, 1, 0, -1), through=TODAY)) == ("first", days(2, 1, 0))
    assert verdict(days(0, adjusted=None), days(2, 1, 0), through=TODAY).past == "first", "only the session's own"


def test_the_same_past_changes_nothing() -> None:
    assert astuple(verdict(days(2, 1, 0), days(2, 1, 0), through=TODAY)) == ("same", ())
    assert verdict(days(9, 2, 1, 0), days(2, 1, 0), through=TODAY).past == "same"


def test_missing_days_are_added_and_none_is_lost() -> None:
    """A day that the chart has nulls for stays as it was written from a quote."""
    found = verdict(days(9, 4, 3, 1), days(4, 2, 1, 0), through=TODAY)
    assert astuple(found) == ("added", days(4, 3, 2, 1, 0))


def test_after_a_split_the_whole_past_is_another() -> None:
    found = verdict(days(9, 2, 1, close=40.0), days(9, 2, 1, 0), through=TODAY)
    assert astuple(found) == ("reloaded", days(9, 2, 1, 0))


def test_after_a_dividend_only_the_adjusted_closes_are_others() -> None:
    held, told = days(2, 1, adjusted=10.0), [*days(2, 1, adjusted=9.96), day(0)]
    assert verdict(held, told, through=TODAY).past == "reloaded"
    assert verdict(days(2, 1, adjusted=None), told, through=TODAY).past == "reloaded", "bars of quotes have none"
    assert verdict(days(2, 1, adjusted=None), days(2, 1, 0), through=TODAY).past == "added", "nothing was paid since"
    assert verdict(days(2, 1, adjusted=9.96000004), told, through=TODAY).past == "added", "a 32-bit float"


def test_a_chart_that_is_cut_short_replaces_nothing() -> None:
    held = days(*range(400, 0, -1), close=40.0)
    assert astuple(verdict(held, days(3, 2, 1), through=TODAY)) == ("too_short", ())


def test_another_close_of_the_session_itself_is_no_other_past() -> None:
    """A late trade; bars older than the chart would be lost for it."""
    held = [*days(400, 2, 1), day(0, adjusted=None)]
    assert verdict(held, [*days(2, 1), day(0, 10.1, 10.1)], through=TODAY).past == "same"
