from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from market.sessions import Session
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.ledger import Counted, read_days, share_of
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, NOON, OPENS_AT

MONDAY = Session(session_date=date(2026, 11, 23), opens_at=OPENS_AT, closes_at=CLOSES_AT)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def counted(minute: datetime, *, fresh: int, unknown: int = 0) -> Counted:
    total = fresh + unknown
    counts = CoverageCounts(fresh=fresh, unchanged=0, no_trade=0, unknown=unknown, total=total)
    return Counted(minute=minute, counts=counts)


def test_counts_stand_until_the_next_ones() -> None:
    rows = [counted(NOON, fresh=3), counted(NOON + minutes(4), fresh=1, unknown=2)]
    share = share_of(rows, NOON, NOON + minutes(10), window_s=1200, listed=3)
    assert (share.fresh, share.unknown, share.not_covered, share.total) == (3 * 4 + 1 * 6, 2 * 6, 0, 30)
    assert share.share == 0.6


def test_a_dead_hour_is_not_covered_rather_than_left_out() -> None:
    live = [counted(NOON + minutes(number), fresh=3) for number in [*range(58), *range(120, 180)]]
    share = share_of(live, NOON, NOON + minutes(180), window_s=120, listed=3)
    # The last count before the gap stands for two minutes: 12:57 and 12:58.
    assert (share.minutes, share.fresh, share.not_covered, share.total) == (180, 3 * 119, 3 * 61, 540)
    assert share.share == 119 / 180


def test_minutes_that_nobody_counted_are_of_as_many_tickers_as_were_counted_else_of_the_listed() -> None:
    rows = [counted(NOON, fresh=5)]
    assert share_of(rows, NOON, NOON + minutes(4), window_s=120, listed=3).not_covered == 2 * 5
    assert share_of([], NOON, NOON + minutes(4), window_s=120, listed=3).not_covered == 4 * 3


def test_counts_from_before_the_open_stand_into_the_session_and_none_beyond_its_end() -> None:
    rows = [counted(NOON - minutes(15), fresh=1), counted(NOON + minutes(9), fresh=2)]
    share = share_of(rows, NOON, NOON + minutes(10), window_s=1200, listed=2)
    assert (share.fresh, share.not_covered) == (1 * 5 + 2 * 1, 4 * 2)


def test_no_share_is_claimed_of_a_session_without_a_minute() -> None:
    share = share_of([], NOON, NOON, window_s=120, listed=3)
    assert (share.minutes, share.total, share.share) == (0, 0, None)


def test_a_day_is_read_for_each_group_as_far_as_it_is_over(writer: Writer, reader: Engine) -> None:
    price = CoverageCounts(fresh=1, unchanged=1, no_trade=1, unknown=0, total=3)
    whole = CoverageCounts(fresh=3, unchanged=0, no_trade=0, unknown=0, total=3)
    for number in range(60):
        write_coverage_minute(writer, OPENS_AT + minutes(number), "price", price)
    write_coverage_minute(writer, OPENS_AT + minutes(10), "metrics", whole)
    write_coverage_minute(writer, OPENS_AT - timedelta(days=3), "daily", whole)
    (day,) = read_days(reader, [MONDAY], at=OPENS_AT + minutes(60) + timedelta(seconds=30))
    assert (day["session"], day["opens_at"], day["closes_at"]) == (date(2026, 11, 23), OPENS_AT, CLOSES_AT)
    assert day["groups"]["price"] == {
        "minutes": 60,
        "fresh": 60,
        "unchanged": 60,
        "no_trade": 60,
        "unknown": 0,
        "not_covered": 0,
        "total": 180,
        "share": 120 / 180,
    }
    metrics, daily = day["groups"]["metrics"], day["groups"]["daily"]
    assert (metrics["fresh"], metrics["not_covered"], metrics["share"]) == (3 * 20, 3 * 40, 20 / 60)
    assert (daily["fresh"], daily["share"]) == (180, 1.0)


def test_a_session_from_before_the_first_count_was_not_covered(writer: Writer, reader: Engine) -> None:
    (day,) = read_days(reader, [MONDAY], at=CLOSES_AT + minutes(600))
    assert day["groups"]["price"]["not_covered"] == day["groups"]["price"]["total"] == 390 * 3
    assert day["groups"]["price"]["share"] == 0.0
