"""Expected dates are the exchange's published holiday notices, copied by hand."""

from datetime import date, timedelta

import pytest

from market import xnys


def dates_of(year: int, kind: str) -> list[str]:
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    return [
        f"{on:%m-%d}"
        for on in days
        if on.year == year and (found := xnys.exemption_on(on)) is not None and found.kind == kind
    ]


@pytest.mark.parametrize(
    ("year", "holidays", "half_days"),
    [
        (2024, "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25", "07-03 11-29 12-24"),
        (2025, "01-01 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25", "07-03 11-28 12-24"),
        (2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24"),
        (2027, "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24", "11-26"),
        (2021, "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24", "11-26"),
        (2002, "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25", "07-05 11-29 12-24"),
        (2003, "01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25", "07-03 11-28 12-24 12-26"),
    ],
)
def test_a_year_has_the_published_holidays_and_half_days(year: int, holidays: str, half_days: str) -> None:
    assert dates_of(year, "holiday") == holidays.split()
    assert dates_of(year, "early") == half_days.split()


@pytest.mark.parametrize("on", [date(2021, 12, 31), date(2027, 12, 31), date(2010, 12, 31), date(2021, 6, 18)])
def test_an_open_friday_that_a_naive_rule_would_close_is_a_full_day(on: date) -> None:
    """A Saturday New Year is not observed; Juneteenth was first kept in 2022."""
    assert xnys.exemption_on(on) is None


def test_one_off_closures_are_no_holidays_and_say_why() -> None:
    expected = {
        **dict.fromkeys(["2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14"], "attacks of September 11"),
        "2004-06-11": "National Day of Mourning for Ronald Reagan",
        "2007-01-02": "National Day of Mourning for Gerald Ford",
        "2012-10-29": "Hurricane Sandy",
        "2012-10-30": "Hurricane Sandy",
        "2018-12-05": "National Day of Mourning for George H. W. Bush",
        "2025-01-09": "National Day of Mourning for Jimmy Carter",
    }
    for on, reason in expected.items():
        assert xnys.exemption_on(date.fromisoformat(on)) == xnys.Exemption("closed", reason)
    closed = [f"{year}-{day}" for year in range(2000, 2038) for day in dates_of(year, "closed")]
    assert closed == sorted(expected)


@pytest.mark.parametrize(
    ("on", "kind", "reason"),
    [
        (date(2026, 11, 26), "holiday", "Thanksgiving Day"),
        (date(2026, 11, 27), "early", "day after Thanksgiving"),
        (date(2026, 7, 3), "holiday", "Independence Day (observed)"),
        (date(2026, 12, 24), "early", "Christmas Eve"),
        (date(2023, 1, 2), "holiday", "New Year's Day (observed)"),
        (date(2026, 4, 3), "holiday", "Good Friday"),
        (date(2026, 11, 28), "weekend", "Saturday"),
        (date(2026, 11, 29), "weekend", "Sunday"),
        (date(2025, 7, 3), "early", "day before Independence Day"),
    ],
)
def test_each_exemption_says_its_reason(on: date, kind: str, reason: str) -> None:
    found = xnys.exemption_on(on)
    assert found is not None
    assert (found.kind, found.reason) == (kind, reason)
