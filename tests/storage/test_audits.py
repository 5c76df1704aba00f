from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from core.settings import Market
from market.fundamentals import Decoded, Fundamentals, Witness
from market.quotes import Quote
from market.sessions import Session, build_calendar
from market.truth import DayNumbers, Held
from storage.audits import (
    AuditRow,
    Finding,
    drop_findings,
    read_audit,
    read_findings,
    read_held,
    write_audit,
    write_findings,
)
from storage.daily_bars import DailyBar, write_daily_bars
from storage.profiles import write_fundamentals
from storage.quotes import write_quotes
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, OPENS_AT, StillClock

TODAY = date(2026, 11, 23)
BEFORE = date(2026, 11, 20)
SESSION = Session(session_date=TODAY, opens_at=OPENS_AT, closes_at=CLOSES_AT, kind="regular", reason="")
CALENDAR = build_calendar(Market(), read=lambda path: path.read_text())
AFTER = CLOSES_AT + timedelta(minutes=40)
DAY = DayNumbers(open=10.0, high=10.6, low=9.9, close=10.5, volume=2_000_000)
QUOTE = Quote(
    ticker="A",
    current_price=10.5,
    price_time=CLOSES_AT,
    open_price=10.0,
    days_high=10.6,
    days_low=9.9,
    volume=2_000_000,
    avg_volume_3mon=1_500_000,
)
TOLD = Witness(price=10.5, price_time=CLOSES_AT, open=10.0, high=10.6, low=9.9, volume=2_000_000)


@pytest.fixture(autouse=True)
def in_the_evening(still_clock: StillClock) -> None:
    still_clock.at = AFTER


def bar(on: date, close: float) -> DailyBar:
    return DailyBar(
        ticker="A",
        session_date=on,
        open=10.0,
        high=10.6,
        low=9.9,
        close=close,
        adj_close=None,
        volume=2_000_000,
        source="q",
    )


def fill(writer: Writer, *, quoted_at: timedelta = timedelta(minutes=40), told: Witness = TOLD) -> None:
    write_quotes(
        writer,
        [QUOTE],
        at=CLOSES_AT + quoted_at,
        session_opens_at=OPENS_AT,
        session_closes_at=CLOSES_AT,
    )
    write_daily_bars(writer, [bar(TODAY, 10.5), bar(BEFORE, 10.1)])
    answer = Decoded(fundamentals=Fundamentals(ticker="A"), witness=told)
    write_fundamentals(writer, [answer], at=AFTER, session_date=TODAY, drop_after_days=30)


def audit_of(on: date, exact: int) -> AuditRow:
    return AuditRow(
        session=on,
        at=AFTER,
        asked=100,
        exact=exact,
        differs=1,
        not_comparable=2,
        sampled=90,
        outliers=10,
        requests=101,
        total=exact + 3,
    )


def test_what_the_table_holds_of_a_session_comes_with_what_was_witnessed(writer: Writer, reader: Engine) -> None:
    fill(writer)
    held = {each.ticker: each for each in read_held(reader, SESSION, CALENDAR, before=BEFORE)}
    assert held["A"] == Held(
        ticker="A", bar=DAY, row=DAY, witness=DAY, traded=True, close_before=10.1, usual_volume=1_500_000
    )
    assert held["B"] == Held(ticker="B", bar=None, row=None)


def test_a_row_of_before_the_close_is_not_of_the_session(writer: Writer, reader: Engine) -> None:
    fill(writer, quoted_at=timedelta(minutes=-5))
    assert read_held(reader, SESSION, CALENDAR, before=None)[0].row is None


def test_a_witness_of_another_session_says_that_there_was_no_trade(writer: Writer, reader: Engine) -> None:
    fill(writer, told=Witness(price=10.1, price_time=OPENS_AT - timedelta(days=2)))
    held = read_held(reader, SESSION, CALENDAR, before=BEFORE)[0]
    assert (held.witness, held.traded, held.told_later) == (None, False, False)


def test_a_witness_of_a_later_session_says_nothing(writer: Writer, reader: Engine, still_clock: StillClock) -> None:
    """A refresh that runs after the next open: else each ticker that trades again looked as if it had not traded."""
    still_clock.at = CLOSES_AT + timedelta(days=1)
    fill(writer, told=Witness(price=10.8, price_time=OPENS_AT + timedelta(days=1)))
    held = read_held(reader, SESSION, CALENDAR, before=BEFORE)[0]
    assert (held.witness, held.traded, held.told_later) == (None, None, True)


def test_what_was_told_after_the_end_of_a_day_without_a_gap_is_of_the_next_one(
    writer: Writer, reader: Engine, still_clock: StillClock
) -> None:
    """A ticker that seldom trades has its newest price of the first second of the day after."""
    calendar = build_calendar(Market(calendar="always"), read=lambda path: path.read_text())
    session = calendar.day(TODAY).session
    assert session is not None
    midnight = session.closes_at
    still_clock.at = midnight + timedelta(hours=9)
    at = {"session_opens_at": session.opens_at, "session_closes_at": midnight}
    write_quotes(writer, [replace(QUOTE, price_time=midnight)], at=still_clock.at, **at)
    answer = Decoded(fundamentals=Fundamentals(ticker="A"), witness=replace(TOLD, price_time=midnight))
    write_fundamentals(writer, [answer], at=still_clock.at, session_date=TODAY, drop_after_days=30)
    held = read_held(reader, session, calendar, before=None)[0]
    assert (held.row, held.witness, held.traded, held.told_later) == (None, None, None, True)
    assert read_held(reader, session, CALENDAR, before=None)[0].row == DAY, "where no other session has opened"


def test_findings_stand_from_the_first_on_and_are_replaced_by_ticker(writer: Writer, reader: Engine) -> None:
    write_findings(writer, TODAY, [Finding(ticker="B", verdict="exact", rule="sample")])
    differs = Finding(ticker="A", verdict="differs", field="bar_close", rule="witness", held=10.5, told=10.6)
    write_findings(writer, TODAY, [Finding(ticker="A", verdict="exact", rule="sample")])
    write_findings(writer, TODAY, [differs])
    assert read_findings(reader, TODAY) == [differs, Finding(ticker="B", verdict="exact", rule="sample")]
    assert read_findings(reader, BEFORE) == []
    drop_findings(writer, TODAY)
    assert read_findings(reader, TODAY) == []


def test_the_audit_of_a_session_is_kept_with_its_findings(writer: Writer, reader: Engine) -> None:
    write_findings(writer, TODAY, [Finding(ticker="A", verdict="exact", rule="sample")])
    lone = Finding(ticker="C", verdict="not_comparable", reason="no_trade")
    write_audit(writer, audit_of(BEFORE, 5), [])
    write_audit(writer, audit_of(TODAY, 7), [lone])
    assert read_audit(reader) == audit_of(TODAY, 7)
    assert read_audit(reader, BEFORE) == audit_of(BEFORE, 5)
    assert read_audit(reader, date(2026, 1, 2)) is None
    assert read_findings(reader, TODAY) == [lone]


def test_a_second_audit_of_a_session_takes_the_place_of_the_first(writer: Writer, reader: Engine) -> None:
    write_audit(writer, audit_of(TODAY, 7), [])
    write_audit(writer, audit_of(TODAY, 9), [])
    assert read_audit(reader) == audit_of(TODAY, 9)
