from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.schema import parameter, stocks_daily_bar, stocks_stock
from storage.values import holds, times_as_parameters

AT = datetime(2026, 11, 23, 14, 30, 0, 5, tzinfo=UTC)
NEW_YORK = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("column", "value", "held"),
    [
        ("current_price", None, True),
        ("current_price", 1.5, True),
        ("current_price", 2, True),
        ("current_price", "1.5", False),
        ("current_price", True, False),
        ("current_price", math.nan, False),
        ("current_price", -math.inf, False),
        ("market_cap", 2**63, False),
        ("volume", 2**63 - 1, True),
        ("volume", 2**63, False),
        ("volume", 1.0, False),
        ("company_name", "Ünïted\n Ltd", True),
        ("company_name", "a\0b", False),
        ("company_name", "\ud800", False),
        ("company_name", b"bytes", False),
        ("price_time", AT, True),
        ("price_time", AT.replace(tzinfo=None), False),
        ("price_time", "2026-11-23", False),
        ("next_earnings_date", date(2026, 11, 23), True),
        ("next_earnings_date", AT, False),
    ],
)
def test_a_column_holds_only_what_every_database_keeps_as_it_is(column: str, value: Any, held: bool) -> None:
    assert holds(stocks_stock, column, value) is held


def test_each_table_has_its_own_kinds() -> None:
    assert holds(stocks_daily_bar, "session_date", date(2026, 11, 23))
    assert not holds(stocks_daily_bar, "session_date", "2026-11-23")


def test_times_become_the_text_of_a_single_one() -> None:
    same_moment = AT.astimezone(NEW_YORK)
    text = "2026-11-23 14:30:00.000005"
    assert times_as_parameters([AT, None, same_moment, AT], "sqlite") == [text, None, text, text]
    assert times_as_parameters([AT, None], "postgresql") == [AT, None]


MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))


@given(st.lists(MOMENTS, max_size=5), st.integers(min_value=0, max_value=1))
def test_times_a_microsecond_apart_stay_apart(times: list[datetime], more_us: int) -> None:
    near = [time + timedelta(microseconds=more_us) for time in times]
    wanted = [parameter(time, "sqlite") for time in (*times, *near)]
    assert times_as_parameters([*times, *near], "sqlite") == wanted
