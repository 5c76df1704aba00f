from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from market import eastern


@pytest.mark.parametrize(
    ("on", "utc_hour"),
    [
        (date(2026, 3, 6), 14),  # Friday before the change
        (date(2026, 3, 9), 13),  # Monday after it
        (date(2026, 10, 30), 13),
        (date(2026, 11, 2), 14),
        (date(2037, 7, 1), 13),  # the last summer that pytz knows
    ],
)
def test_half_past_nine_follows_daylight_saving(on: date, utc_hour: int) -> None:
    assert eastern.local_to_utc(on, time(9, 30)) == datetime(on.year, on.month, on.day, utc_hour, 30, tzinfo=UTC)


def test_utc_results_carry_the_utc_zone_itself() -> None:
    assert eastern.local_to_utc(date(2026, 7, 1), time(9, 30)).tzinfo is UTC


def test_a_local_time_skipped_in_spring_is_an_error() -> None:
    with pytest.raises(eastern.NoSuchLocalTime, match="2026-03-08 02:30 does not exist in America/New_York"):
        eastern.local_to_utc(date(2026, 3, 8), time(2, 30))


def test_a_local_time_shown_twice_in_autumn_is_an_error() -> None:
    with pytest.raises(eastern.NoSuchLocalTime, match="2026-11-01 01:30 exists twice"):
        eastern.local_to_utc(date(2026, 11, 1), time(1, 30))


def test_a_daily_time_comes_also_on_the_days_when_the_clocks_change() -> None:
    # 02:30 read as EST (UTC-5); the first 01:30 of November is EDT (UTC-4).
    assert eastern.daily_to_utc(date(2026, 3, 8), time(2, 30)) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert eastern.daily_to_utc(date(2026, 11, 1), time(1, 30)) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert eastern.daily_to_utc(date(2026, 11, 2), time(16, 30)) == datetime(2026, 11, 2, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(("on", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 6, 1), 24)])
def test_a_day_has_the_hours_that_its_clocks_give_it(on: date, hours: int) -> None:
    begins, ends = eastern.day_bounds(on)
    assert ends - begins == timedelta(hours=hours)


def test_a_day_whose_midnight_is_skipped_begins_when_the_clocks_change() -> None:
    # Havana goes from 00:00 to 01:00 (UTC-4) on 2026-03-08, at 05:00 UTC.
    begins, ends = eastern.day_bounds(date(2026, 3, 8), "America/Havana")
    assert (begins, ends) == (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))


def test_the_last_known_day_has_an_end() -> None:
    assert eastern.day_bounds(date(2037, 12, 31))[1] == datetime(2038, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize("on", [date(1969, 12, 31), date(2038, 1, 1), date.min, date.max])
def test_dates_outside_1970_to_2037_are_refused(on: date) -> None:
    for ask in (eastern.local_to_utc, eastern.daily_to_utc):
        with pytest.raises(eastern.DateOutOfRange, match="use a date from 1970-01-01 to 2037-12-31"):
            ask(on, time(12))
    with pytest.raises(eastern.DateOutOfRange):
        eastern.day_bounds(on)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, 4, 59, tzinfo=UTC),
        datetime(2038, 1, 1, 5, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_instants_outside_1970_to_2037_on_the_local_wall_are_refused(at: datetime) -> None:
    with pytest.raises(eastern.DateOutOfRange):
        eastern.to_local(at)


def test_the_local_date_is_the_one_in_new_york() -> None:
    assert eastern.local_date(datetime(2026, 11, 23, 4, 59, tzinfo=UTC)) == date(2026, 11, 22)
    assert eastern.local_date(datetime(2026, 11, 23, 5, 0, tzinfo=UTC)) == date(2026, 11, 23)
    assert eastern.local_date(datetime(2026, 11, 23, 5, 0, tzinfo=UTC), "Asia/Tokyo") == date(2026, 11, 23)


def test_a_naive_time_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="naive"):
        eastern.to_local(datetime(2026, 11, 23, 12))  # an input, never a result


@pytest.mark.parametrize("name", ["America/New_Yrok", "", "../../etc/passwd", "EST5EDT4"])
def test_an_unknown_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(FixByHand, match=r"market\.timezone: no time zone is called .*America/New_York"):
        eastern.check_zone(name)


@given(
    st.dates(date(1970, 1, 2), date(2037, 12, 30)),
    st.times().filter(lambda at: at.hour >= 3 and at.tzinfo is None),
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo"]),
)
def test_a_local_time_outside_the_night_goes_to_utc_and_comes_back(on: date, at: time, zone_name: str) -> None:
    local = eastern.to_local(eastern.local_to_utc(on, at, zone_name), zone_name)
    assert (local.date(), local.time()) == (on, at)


def test_the_last_time_of_day_that_has_passed_is_todays_or_yesterdays() -> None:
    at = time(18, 30)
    assert eastern.last_daily(datetime(2026, 11, 23, 23, 30, tzinfo=UTC), at) == datetime(
        2026, 11, 23, 23, 30, tzinfo=UTC
    )
    assert eastern.last_daily(datetime(2026, 11, 23, 23, 29, tzinfo=UTC), at) == datetime(
        2026, 11, 22, 23, 30, tzinfo=UTC
    )
    assert eastern.last_daily(datetime(2026, 3, 8, 22, 30, tzinfo=UTC), at) == datetime(2026, 3, 8, 22, 30, tzinfo=UTC)
