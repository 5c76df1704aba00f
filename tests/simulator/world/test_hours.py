from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.world.hours import Earlier, Hours, hours_at

XNYS = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
# Monday 2026-11-23, 09:30 to 16:00 in New York (EST, UTC-5); Friday before and Tuesday after likewise.
MONDAY = Hours(open_s=1_795_444_200, close_s=1_795_467_600, next_open_s=1_795_530_600)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def second(text: str) -> int:
    return int(at(text).timestamp())


def test_in_a_session_it_is_that_session() -> None:
    assert hours_at(XNYS, at("2026-11-23T17:00:00Z")) == MONDAY


def test_on_a_weekend_it_is_friday_s_session() -> None:
    hours = hours_at(XNYS, at("2026-11-22T01:00:00Z"))

    assert hours.open_s == second("2026-11-20T14:30:00Z")
    assert hours.close_s == second("2026-11-20T21:00:00Z")
    assert hours.next_open_s == MONDAY.open_s


def test_before_the_first_listed_session_it_is_a_day_earlier(tmp_path: Path) -> None:
    listed = tmp_path / "day.csv"
    listed.write_text(
        "session,open_utc,close_utc,reason\n2026-11-23,2026-11-23T10:00:00Z,2026-11-23T10:05:00Z,practice\n"
    )
    calendar = build_calendar(MarketSettings(calendar=f"file:{listed}"), read=read_text)

    hours = hours_at(calendar, at("2026-11-23T09:59:00Z"))

    assert hours.open_s == second("2026-11-22T10:00:00Z")
    assert hours.close_s == second("2026-11-22T10:05:00Z")
    assert hours.next_open_s == second("2026-11-23T10:00:00Z")


def test_after_the_last_listed_session_none_follows(tmp_path: Path) -> None:
    listed = tmp_path / "day.csv"
    listed.write_text(
        "session,open_utc,close_utc,reason\n2026-11-23,2026-11-23T10:00:00Z,2026-11-23T10:05:00Z,practice\n"
    )
    calendar = build_calendar(MarketSettings(calendar=f"file:{listed}"), read=read_text)

    hours = hours_at(calendar, at("2026-11-23T10:06:00Z"))

    assert hours.next_open_s > second("2037-12-31T00:00:00Z")
    assert hours.phase(second("2026-11-24T10:06:00Z")) == "CLOSED"


def test_a_day_runs_through_yahoo_s_market_states() -> None:
    moments = ["14:29:59", "14:30:00", "20:59:59", "21:00:00"]
    states = [MONDAY.phase(second(f"2026-11-23T{moment}Z")) for moment in moments]

    assert states[1:] == ["REGULAR", "REGULAR", "POST"]
    assert MONDAY.phase(second("2026-11-24T00:59:59Z")) == "POST"  # 19:59:59 in New York
    assert MONDAY.phase(second("2026-11-24T01:00:00Z")) == "CLOSED"
    assert MONDAY.phase(second("2026-11-24T08:59:59Z")) == "CLOSED"
    assert MONDAY.phase(second("2026-11-24T09:00:00Z")) == "PRE"  # 04:00 in New York


def test_earlier_sessions_come_newest_first_over_holidays() -> None:
    found = Earlier(XNYS, MONDAY.open_s).sessions(2)

    assert [span.open_s for span in found] == [second("2026-11-20T14:30:00Z"), second("2026-11-19T14:30:00Z")]
    assert [span.close_s - span.open_s for span in found] == [23_400, 23_400]


def test_where_the_rules_of_a_calendar_end_there_are_no_earlier_sessions() -> None:
    always = build_calendar(MarketSettings(calendar="always"), read=read_text)
    found = Earlier(always, second("1970-01-20T00:00:00Z")).sessions(100)

    assert 10 < len(found) < 20
