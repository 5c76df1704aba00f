from contextlib import suppress
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from market.calendar_files import parse_overrides, parse_sessions

HEADER = "session,open_utc,close_utc,reason\n"
ROW = "2026-11-23,2026-11-23T14:30:00Z,2026-11-23T21:00:00Z,\n"


def test_a_list_of_sessions_is_read_with_its_reasons() -> None:
    text = HEADER + "2026-11-23,2026-11-22T10:00:00Z,2026-11-22T10:05:00+00:00,drill\n\n"
    text += "2026-11-24, 2026-11-22T10:05:00Z , 2026-11-22T10:10:00Z,\n"
    first, second = parse_sessions(text, source="days.csv")
    assert first.session_date == date(2026, 11, 23)
    assert first.opens_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert first.closes_at == datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
    assert (first.reason, second.reason) == ("drill", "")
    assert first.opens_at.tzinfo is UTC


def test_a_list_with_bom_and_windows_line_ends_is_read() -> None:
    assert len(parse_sessions("\ufeff" + (HEADER + ROW).replace("\n", "\r\n"), source="days.csv")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"^days.csv: line 1: unknown or missing columns"),
        ("session,open,close,reason\n", r"^days.csv: line 1: unknown or missing columns .*open_utc"),
        (HEADER.replace("reason", "reason,volume"), r"line 1: unknown or missing columns"),
        (HEADER, r"^days.csv: holds no session"),
        (HEADER + ROW + ROW, r"^days.csv: line 3: session dates do not rise"),
        (
            HEADER + ROW + "2026-11-20,2026-11-24T14:30:00Z,2026-11-24T21:00:00Z,\n",
            r"line 3: session dates do not rise",
        ),
        (
            HEADER + ROW + "2026-11-24,2026-11-23T20:59:00Z,2026-11-24T21:00:00Z,\n",
            r"line 3: opens before the session above closes",
        ),
        (HEADER + ROW.replace("21:00:00Z", "21:00:00-05:00"), r"line 2: '2026-11-23T21:00:00-05:00' is not in UTC"),
        (HEADER + ROW.replace("21:00:00Z", "21:00:00"), r"line 2: .* is not in UTC"),
        (HEADER + ROW.replace("21:00:00Z", "14:30:00Z"), r"line 2: closes before it opens"),
        (HEADER + "\n" + ROW.replace("2026-11-23,", "Monday,"), r"line 3: Invalid isoformat string: 'Monday'; write"),
        (HEADER + ROW.replace("2026", "2038"), r"line 2: no rules are known for 2038-11-23"),
        (HEADER + "2026-11-23,2026-11-23T14:30:00Z\n", r"line 2: 2 columns, not 4"),
        (HEADER + '2026-11-23,"2026', r"line 2: unexpected end of data"),
    ],
)
def test_a_bad_list_of_sessions_is_refused_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(FixByHand, match=said):
        parse_sessions(text, source="days.csv")


@given(st.text(alphabet=st.sampled_from("2026-113T:0Z,\"\n\r\x00é'"), max_size=80))
def test_no_text_after_the_header_brings_another_error_than_ours(text: str) -> None:
    with suppress(FixByHand):
        parse_sessions(HEADER + text, source="days.csv")


def test_overrides_are_read_as_text_or_as_toml_times() -> None:
    hours, closed, native = parse_overrides(
        """
        [[session]]
        date = "2026-12-01"
        open = "09:30"
        close = "12:00"
        reason = "water in the hall"
        [[session]]
        date = 2026-12-02
        closed = true
        [[session]]
        date = 2026-12-03
        open = 10:00:00
        close = 11:30:00
        """,
        source="overrides.toml",
    )
    assert (hours.session_date, hours.hours, hours.reason) == (
        date(2026, 12, 1),
        (time(9, 30), time(12)),
        "water in the hall",
    )
    assert (closed.entry, closed.hours, closed.reason) == (2, None, "set by hand")
    assert native.hours == (time(10), time(11, 30))


def test_an_empty_overrides_file_overrides_nothing() -> None:
    assert parse_overrides("# none yet\n", source="overrides.toml") == ()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("open = '09:30'\nclose = '12:00'", "date is missing"),
        ("date = 2026-12-01", "open is missing"),
        ("date = 2026-12-01\nopen = '09:30'", "close is missing"),
        ("date = 2026-12-01\nopen = '12:00'\nclose = '12:00'", "closes before it opens"),
        ("date = 2026-12-01\nopen = 'noon'\nclose = '13:00'", "Invalid isoformat string: 'noon'"),
        ("date = 2026-12-01\nopen = '09:30+01:00'\nclose = '13:00'", "open is "),
        ("date = 2026-12-01\nopen = 930\nclose = '13:00'", "open is 930"),
        ("date = 2026-12-01T00:00:00Z\nclosed = true", "date is "),
        ("date = '2026-02-30'\nclosed = true", "day is out of range"),
        ("date = 2038-01-01\nclosed = true", "no rules are known for 2038-01-01"),
        ("date = 2026-12-01\nclosed = false", "closed goes alone and is true"),
        ("date = 2026-12-01\nclosed = true\nopen = '09:30'", "closed goes alone and is true"),
        ("date = 2026-12-01\nclosed = true\nreason = 5", "reason is 5"),
        ("date = 2026-12-01\nclosed = true\nreasn = 'typo'", "unknown key reasn"),
        ("date = 2026-11-30\nclosed = true", "2026-11-30 is written twice"),
    ],
)
def test_a_bad_override_is_refused_with_file_and_entry(entry: str, said: str) -> None:
    text = f"[[session]]\ndate = 2026-11-30\nclosed = true\n[[session]]\n{entry}\n"
    with pytest.raises(FixByHand, match=f"^overrides.toml: session 2: .*{said}"):
        parse_overrides(text, source="overrides.toml")


@pytest.mark.parametrize("text", ["[[session]", "sessions = 1", "session = 1", "session = ['2026-12-01']"])
def test_a_text_that_is_no_list_of_overrides_is_refused_with_the_file(text: str) -> None:
    with pytest.raises(FixByHand, match=r"^overrides\.toml: .*date with open and close"):
        parse_overrides(text, source="overrides.toml")
