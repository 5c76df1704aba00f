import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FixByHand
from core.settings import Market
from market.eastern import DateOutOfRange
from market.sessions import (
    Calendar,
    Session,
    build_calendar,
    daily_due_at,
    due_session,
    is_price_of,
    is_price_time,
)

LIST = """session,open_utc,close_utc,reason
2026-11-23,2026-11-22T10:00:00Z,2026-11-22T10:05:00Z,first
2026-11-24,2026-11-22T10:05:00Z,2026-11-22T10:10:00Z,
2026-11-26,2026-11-22T10:20:00Z,2026-11-22T10:25:00Z,
"""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reader(**texts: str) -> Callable[[Path], str]:
    return lambda path: texts[path.stem]


def calendar(
    name: str = "XNYS", *, overrides: str = "", listed: str = LIST, timezone: str = "America/New_York"
) -> Calendar:
    return build_calendar(
        Market(calendar=name, overrides_file="/etc/over.toml" if overrides else "", timezone=timezone),
        read=reader(over=overrides, days=listed),
    )


XNYS = calendar()
ALWAYS = calendar("always")
LISTED = calendar("file:/etc/days.csv")


def hours(found: Calendar, on: date) -> tuple[datetime, datetime]:
    session = found.day(on).session
    assert session is not None
    assert session.session_date == on
    return session.opens_at, session.closes_at


# --- XNYS


def test_the_day_after_thanksgiving_closes_at_one() -> None:
    day = XNYS.day(date(2026, 11, 27))
    assert (day.kind, day.reason) == ("early", "day after Thanksgiving")
    assert hours(XNYS, date(2026, 11, 27)) == (utc("2026-11-27T14:30"), utc("2026-11-27T18:00"))
    assert day.session is not None
    assert (day.session.kind, day.session.reason) == ("early", "day after Thanksgiving")


def test_a_regular_day_opens_an_hour_earlier_in_utc_from_the_first_monday_of_summer_time() -> None:
    assert hours(XNYS, date(2026, 3, 6)) == (utc("2026-03-06T14:30"), utc("2026-03-06T21:00"))
    assert hours(XNYS, date(2026, 3, 9)) == (utc("2026-03-09T13:30"), utc("2026-03-09T20:00"))
    assert XNYS.day(date(2026, 3, 9)).kind == "regular"


@pytest.mark.parametrize(
    ("on", "kind", "reason"),
    [
        (date(2026, 7, 3), "holiday", "Independence Day (observed)"),
        (date(2025, 1, 9), "closed", "National Day of Mourning for Jimmy Carter"),
        (date(2026, 11, 22), "weekend", "Sunday"),
    ],
)
def test_a_day_without_session_says_its_kind_and_reason(on: date, kind: str, reason: str) -> None:
    day = XNYS.day(on)
    assert (day.session_date, day.kind, day.reason, day.session) == (on, kind, reason, None)


def test_the_last_session_of_2037_is_known_and_nothing_beyond_it() -> None:
    assert hours(XNYS, date(2037, 12, 31)) == (utc("2037-12-31T14:30"), utc("2037-12-31T21:00"))
    for found in (XNYS, ALWAYS, LISTED):
        with pytest.raises(DateOutOfRange, match="no rules are known for 2038-07-01"):
            found.day(date(2038, 7, 1))
    for found in (XNYS, ALWAYS):
        for ask in (found.session_at, found.next_session, found.last_session):
            with pytest.raises(DateOutOfRange):
                ask(utc("2038-07-01T15:00"))
        with pytest.raises(DateOutOfRange, match="2038-01-01"):
            found.next_session(utc("2037-12-31T15:00"))


def test_xnys_refuses_the_years_before_its_rules() -> None:
    with pytest.raises(DateOutOfRange, match="use a date from 2000-01-01"):
        XNYS.day(date(1999, 12, 31))
    with pytest.raises(DateOutOfRange):
        XNYS.last_session(utc("2000-01-03T15:00"))


def test_a_session_holds_its_open_and_not_its_close() -> None:
    monday = XNYS.day(date(2026, 11, 23)).session
    assert XNYS.session_at(utc("2026-11-23T14:29:59.999999")) is None
    assert XNYS.session_at(utc("2026-11-23T14:30")) == monday
    assert XNYS.session_at(utc("2026-11-23T20:59:59.999999")) == monday
    assert XNYS.session_at(utc("2026-11-23T21:00")) is None


def test_the_next_session_skips_thanksgiving() -> None:
    found = XNYS.next_session(utc("2026-11-25T14:30"))  # Wednesday's own open is not after itself
    assert found is not None
    assert found.session_date == date(2026, 11, 27)


def test_the_last_session_before_monday_closes_is_friday() -> None:
    friday, monday = XNYS.day(date(2026, 11, 20)).session, XNYS.day(date(2026, 11, 23)).session
    assert XNYS.last_session(utc("2026-11-23T20:59:59")) == friday
    assert XNYS.last_session(utc("2026-11-23T21:00")) == monday


def test_the_four_closed_days_of_2001_are_one_gap() -> None:
    before, after = XNYS.last_session(utc("2001-09-12T12:00")), XNYS.next_session(utc("2001-09-12T12:00"))
    assert before is not None and after is not None
    assert (before.session_date, after.session_date) == (date(2001, 9, 10), date(2001, 9, 17))


def test_set_hours_move_the_session_and_a_half_day_still_ends_at_one() -> None:
    found = build_calendar(Market(open="10:00", close="12:00"), read=reader())
    assert hours(found, date(2026, 11, 23)) == (utc("2026-11-23T15:00"), utc("2026-11-23T17:00"))
    assert hours(found, date(2026, 11, 27)) == (utc("2026-11-27T15:00"), utc("2026-11-27T17:00"))
    later = build_calendar(Market(open="12:30", close="18:00"), read=reader())
    assert hours(later, date(2026, 11, 27)) == (utc("2026-11-27T17:30"), utc("2026-11-27T18:00"))


def test_a_half_day_that_ends_before_the_set_opening_is_closed() -> None:
    day = build_calendar(Market(open="13:00", close="16:00"), read=reader()).day(date(2026, 11, 27))
    assert (day.kind, day.session) == ("closed", None)
    assert day.reason == "day after Thanksgiving: closes at 13:00, before the set opening"


# The two libraries share no code with us; both know early closes and one-off closures.
FIRST, LAST = date(2000, 1, 3), date(2037, 12, 31)
LATE_OPENS_OR_ODD_CLOSES = {  # 2000-2006: moments of silence, and a failure of the trading system
    date.fromisoformat(on)
    for on in ["2001-09-17", "2001-10-08", "2002-09-11", "2003-03-20", "2004-06-07", "2005-06-01", "2006-12-27"]
}


def our_hours(first: date, last: date) -> dict[date, tuple[datetime, datetime]]:
    days = (XNYS.day(first + timedelta(days=n)) for n in range((last - first).days + 1))
    return {day.session_date: (day.session.opens_at, day.session.closes_at) for day in days if day.session}


def our_half_days(first: date, last: date) -> set[date]:
    days = (XNYS.day(first + timedelta(days=n)) for n in range((last - first).days + 1))
    return {day.session_date for day in days if day.kind == "early"}


def test_every_day_of_2000_to_2037_agrees_with_exchange_calendars() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        import exchange_calendars

        theirs = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
        frame = theirs.schedule[["open", "close"]]
        early = {day.date() for day in theirs.early_closes}
    expected = {
        label.date(): (opens.to_pydatetime(), closes.to_pydatetime()) for label, opens, closes in frame.itertuples()
    }
    ours = our_hours(FIRST, LAST)
    assert ours.keys() == expected.keys()
    assert {on for on in ours if ours[on] != expected[on]} <= LATE_OPENS_OR_ODD_CLOSES
    assert our_half_days(FIRST, LAST) == early - LATE_OPENS_OR_ODD_CLOSES


def test_every_day_of_2010_to_2030_agrees_with_pandas_market_calendars() -> None:
    first, last = date(2010, 1, 1), date(2030, 12, 31)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        import pandas_market_calendars

        theirs = pandas_market_calendars.get_calendar("NYSE")
        frame = theirs.schedule(first.isoformat(), last.isoformat())
        early = {label.date() for label in theirs.early_closes(frame).index}
    expected = {
        label.date(): (opens.to_pydatetime(), closes.to_pydatetime())
        for label, opens, closes in frame[["market_open", "market_close"]].itertuples()
    }
    assert our_hours(first, last) == expected
    assert our_half_days(first, last) == early


# --- always


def test_an_endless_market_has_a_session_from_midnight_to_midnight() -> None:
    assert ALWAYS.endless and not XNYS.endless and not LISTED.endless
    assert hours(ALWAYS, date(2026, 11, 22)) == (utc("2026-11-22T05:00"), utc("2026-11-23T05:00"))
    assert hours(ALWAYS, date(2026, 3, 8)) == (utc("2026-03-08T05:00"), utc("2026-03-09T04:00"))  # 23 hours
    assert hours(ALWAYS, date(2037, 12, 31))[1] == utc("2038-01-01T05:00")


def test_at_local_midnight_the_endless_market_changes_its_session() -> None:
    midnight = utc("2026-11-23T05:00")
    now, past, coming = ALWAYS.session_at(midnight), ALWAYS.last_session(midnight), ALWAYS.next_session(midnight)
    assert now is not None and past is not None and coming is not None
    assert [each.session_date.day for each in (past, now, coming)] == [22, 23, 24]


# --- file


def test_a_list_may_hold_sessions_of_minutes_on_one_real_day() -> None:
    at = utc("2026-11-22T10:05")
    now, past, coming = LISTED.session_at(at), LISTED.last_session(at), LISTED.next_session(at)
    assert now is not None and past is not None and coming is not None
    assert [each.session_date.day for each in (past, now, coming)] == [23, 24, 26]
    assert past.reason == "first"
    assert LISTED.session_at(utc("2026-11-22T10:15")) is None


def test_a_list_has_nothing_before_its_first_and_after_its_last_session() -> None:
    assert LISTED.last_session(utc("2026-11-22T10:04:59")) is None
    assert LISTED.session_at(utc("2026-11-22T09:59:59")) is None
    assert LISTED.next_session(utc("2026-11-22T10:20")) is None
    last = LISTED.last_session(utc("2030-01-01T00:00"))
    assert last is not None and last.session_date == date(2026, 11, 26)


@pytest.mark.parametrize(
    ("on", "kind", "has_session"),
    [
        (date(2026, 11, 24), "regular", True),
        (date(2026, 11, 25), "closed", False),
        (date(2026, 11, 28), "weekend", False),
    ],
)
def test_a_date_that_the_list_leaves_out_has_no_session(on: date, kind: str, has_session: bool) -> None:
    day = LISTED.day(on)
    assert (day.kind, day.session is not None) == (kind, has_session)


# --- overrides

CLOSED = '[[session]]\ndate = 2026-11-24\nclosed = true\nreason = "no power"\n'
SHORT = '[[session]]\ndate = 2026-11-24\nopen = "09:30"\nclose = "11:00"\nreason = "storm"\n'


@pytest.mark.parametrize("name", ["XNYS", "always", "file:/etc/days.csv"])
def test_an_override_closes_a_day_of_any_calendar(name: str) -> None:
    found = calendar(name, overrides=CLOSED)
    day = found.day(date(2026, 11, 24))
    assert (day.kind, day.reason, day.session) == ("closed", "no power", None)
    coming = found.next_session(utc("2026-11-24T04:00") if name != "file:/etc/days.csv" else utc("2026-11-22T10:01"))
    assert coming is not None and coming.session_date > date(2026, 11, 24)


@pytest.mark.parametrize(("name", "kind"), [("XNYS", "early"), ("always", "regular")])
def test_an_override_shortens_a_day_in_local_time(name: str, kind: str) -> None:
    found = calendar(name, overrides=SHORT)
    day = found.day(date(2026, 11, 24))
    assert (day.kind, day.reason) == (kind, "storm")
    assert hours(found, date(2026, 11, 24)) == (utc("2026-11-24T14:30"), utc("2026-11-24T16:00"))
    assert found.session_at(utc("2026-11-24T16:00")) is None


def test_an_override_opens_a_holiday() -> None:
    text = '[[session]]\ndate = "2026-07-03"\nopen = "09:30"\nclose = "16:00"\n'
    found = calendar(overrides=text)
    assert found.day(date(2026, 7, 3)).kind == "regular"
    assert hours(found, date(2026, 7, 3)) == (utc("2026-07-03T13:30"), utc("2026-07-03T20:00"))


def test_an_override_adds_a_session_to_a_list() -> None:
    found = calendar(
        "file:/etc/days.csv", overrides='[[session]]\ndate = 2026-11-27\nopen = "09:30"\nclose = "16:00"\n'
    )
    coming = found.next_session(utc("2026-11-22T10:20"))
    assert coming is not None and coming.opens_at == utc("2026-11-27T14:30")


def test_an_override_that_overlaps_a_session_of_the_list_is_refused() -> None:
    overlapping = LIST.replace("2026-11-22T10:20", "2026-11-24T15:00").replace("2026-11-22T10:25", "2026-11-24T15:30")
    with pytest.raises(FixByHand, match=r"over\.toml: the sessions 2026-11-24 and 2026-11-26 overlap"):
        calendar("file:/etc/days.csv", overrides=SHORT, listed=overlapping)


def test_an_override_at_an_hour_that_the_clocks_skip_is_refused_with_file_and_entry() -> None:
    text = '[[session]]\ndate = 2026-03-08\nopen = "02:30"\nclose = "04:00"\n'
    with pytest.raises(FixByHand, match=r"/etc/over.toml: session 1: 2026-03-08 02:30 does not exist"):
        calendar(overrides=text)


# --- build_calendar


def test_a_file_that_cannot_be_read_is_named_with_its_key() -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    with pytest.raises(FixByHand, match=r"^/etc/over.toml: market.overrides_file: cannot be read"):
        build_calendar(Market(overrides_file="/etc/over.toml"), read=missing)
    with pytest.raises(FixByHand, match=r"^/etc/days.csv: market.calendar: cannot be read"):
        build_calendar(Market(calendar="file:/etc/days.csv"), read=missing)


def test_a_close_before_the_open_is_refused() -> None:
    with pytest.raises(FixByHand, match=r"market.close: 09:00 is not after market.open 09:30"):
        build_calendar(Market(close="09:00"), read=reader())


def test_an_unknown_zone_is_refused_at_once() -> None:
    with pytest.raises(FixByHand, match=r"market.timezone"):
        calendar(timezone="America/Nowhere")


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/Chicago", "UTC"])
def test_the_hours_of_new_york_are_read_in_no_other_zone(timezone: str) -> None:
    with pytest.raises(FixByHand, match=r'market\.timezone: .*; use "America/New_York", or a "file:" calendar'):
        calendar(timezone=timezone)
    assert calendar("file:days", timezone=timezone).zone_name == timezone


# --- prices and the daily refresh


def test_a_price_counts_from_the_open_to_fifteen_minutes_after_the_close() -> None:
    session = XNYS.day(date(2026, 11, 23)).session
    assert session is not None
    assert not is_price_time(session, utc("2026-11-23T14:29:59.999"))
    assert is_price_time(session, utc("2026-11-23T14:30"))
    assert is_price_time(session, utc("2026-11-23T21:15"))
    assert not is_price_time(session, utc("2026-11-23T21:15:00.001"))


def test_a_trade_at_the_close_is_of_the_next_session_where_that_opens_as_this_one_closes() -> None:
    session = ALWAYS.day(date(2026, 11, 23)).session
    assert session is not None
    assert is_price_of(session, utc("2026-11-24T04:59:59.999"), ALWAYS)
    assert not is_price_of(session, utc("2026-11-24T05:00"), ALWAYS)
    assert not is_price_of(session, utc("2026-11-24T05:07"), ALWAYS)
    assert is_price_of(session, utc("2026-11-24T05:07"), XNYS), "in New York nothing opens then"
    assert not is_price_of(session, utc("2026-11-24T05:16"), XNYS)


@pytest.mark.parametrize(
    ("found", "on", "at", "due_at"),
    [
        (XNYS, date(2026, 11, 23), "16:30", "2026-11-23T21:30"),
        (XNYS, date(2026, 7, 6), "16:30", "2026-07-06T20:30"),  # summer time
        (XNYS, date(2026, 11, 27), "16:30", "2026-11-27T18:30"),  # 13:30 on a half day
        (XNYS, date(2026, 11, 27), "00:00", "2026-11-27T18:00"),
        (XNYS, date(2026, 11, 23), "00:00", "2026-11-23T21:00"),  # never before the close
        (ALWAYS, date(2026, 11, 22), "16:30", "2026-11-22T21:30"),
        (ALWAYS, date(2026, 3, 8), "02:30", "2026-03-08T07:30"),  # comes although the clock skips it
        (LISTED, date(2026, 11, 24), "16:30", "2026-11-22T21:30"),  # the real day of the close, not the label
        (LISTED, date(2026, 11, 24), "00:00", "2026-11-22T10:10"),
    ],
)
def test_the_daily_refresh_is_due(found: Calendar, on: date, at: str, due_at: str) -> None:
    session = found.day(on).session
    assert session is not None
    assert daily_due_at(session, at=at, calendar=found) == utc(due_at)


# --- properties

INSTANTS = st.datetimes(datetime(2001, 1, 1), datetime(2037, 12, 20), timezones=st.just(UTC))


@settings(deadline=None)
@given(
    at=INSTANTS,
    found=st.sampled_from([XNYS, ALWAYS, calendar(overrides=SHORT), calendar("always", timezone="America/Havana")]),
)
def test_last_current_and_next_session_are_neighbours(at: datetime, found: Calendar) -> None:
    past, now, coming = found.last_session(at), found.session_at(at), found.next_session(at)
    assert past is not None and coming is not None
    assert past.closes_at <= at < coming.opens_at
    if now:
        assert past.closes_at <= now.opens_at <= at < now.closes_at <= coming.opens_at
    between: list[Session] = [now] if now else []
    skipped = (past.session_date + timedelta(days=n) for n in range(1, (coming.session_date - past.session_date).days))
    assert [day.session for on in skipped if (day := found.day(on)).session] == between


@settings(deadline=None)
@given(at=INSTANTS)
def test_an_endless_market_is_always_in_session(at: datetime) -> None:
    now, coming = ALWAYS.session_at(at), ALWAYS.next_session(at)
    assert now is not None and coming is not None
    assert now.closes_at == coming.opens_at


@pytest.mark.parametrize(
    ("found", "moment", "session_date"),
    [
        # Friday closes at 13:00 (18:00 UTC), so its refresh is due at 13:30; Thursday was Thanksgiving.
        (XNYS, "2026-11-27 18:29:00", date(2026, 11, 25)),
        (XNYS, "2026-11-27 18:30:00", date(2026, 11, 27)),
        (XNYS, "2026-11-30 14:00:00", date(2026, 11, 27)),
        (XNYS, "2026-11-30 21:30:00", date(2026, 11, 30)),
        # A market that never closes: the running session is due from its hour on, before it yesterday's.
        (ALWAYS, "2026-11-22 21:29:00", date(2026, 11, 21)),
        (ALWAYS, "2026-11-22 21:30:00", date(2026, 11, 22)),
    ],
)
def test_the_newest_session_whose_refresh_is_due_is_found(found: Calendar, moment: str, session_date: date) -> None:
    due = due_session(found, utc(moment), at="16:30")
    assert due is not None
    assert due.session_date == session_date


def test_nothing_is_due_before_the_first_session_of_a_list() -> None:
    assert due_session(LISTED, utc("2026-11-22 10:02:00"), at="16:30") is None
