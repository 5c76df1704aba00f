from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from market.listings import Known, Missing, Seen, Verdict
from market.universe import Listing
from storage.daily_progress import Quoted, mark_quoted
from storage.histories import DayRow, read_history, replace_history
from storage.listings import apply_verdict, find_former, is_same_past, note_delisted, read_known, rename
from storage.universe import load_universe, read_tickers
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT

MONDAY, TUESDAY = NOON.date(), NOON.date() + timedelta(days=1)
BOTH = frozenset({"nasdaq", "yahoo"})
EVENTS = "SELECT ticker, event, former_ticker, reason FROM listing_event ORDER BY id"


def rows(reader: Engine, sql: str) -> list[tuple[Any, ...]]:
    with reader.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def known(reader: Engine, *, opened_at: datetime = OPENS_AT, all_kept: bool = False) -> dict[str, Known]:
    return {each.ticker: each for each in read_known(reader, opened_at=opened_at, all_kept=all_kept)}


def seen(ticker: str, security_type: str | None = "Common") -> Seen:
    return Seen(
        listing=Listing(ticker=ticker, company_name=f"{ticker} Inc.", security_type=security_type), seen_by=BOTH
    )


def apply(writer: Writer, **given: Any) -> None:
    apply_verdict(writer, Verdict(**given), session_date=MONDAY, at=NOON)


def test_what_was_judged_is_in_the_table_and_in_its_log(writer: Writer, reader: Engine) -> None:
    apply(
        writer,
        new=[seen("NEW")],
        seen=[seen("A")],
        missing=[Missing(ticker="B", since=MONDAY, sessions=1)],
        gone={"C": "missing on 10 trading days"},
    )
    held = known(reader)
    assert held["NEW"] == Known(ticker="NEW", security_type="Common", seen_by=BOTH)
    assert (held["A"].seen_by, held["B"].missing_since, held["B"].missing_sessions) == (BOTH, MONDAY, 1)
    assert [row.ticker for row in read_tickers(reader)] == ["A", "B", "NEW"]
    assert (held["C"].is_listed, held["C"].missing_since) == (False, MONDAY)
    assert rows(reader, EVENTS) == [
        ("NEW", "listed", None, None),
        ("B", "suspect", None, None),
        ("C", "unlisted", None, "missing on 10 trading days"),
    ]
    columns = "company_name, listed_by, first_seen_date, last_updated IS NULL"
    assert [
        (*row[:2], str(row[2]), bool(row[3]))
        for row in rows(reader, f"SELECT {columns} FROM stocks_stock WHERE ticker = 'NEW'")
    ] == [("NEW Inc.", "sources", str(MONDAY), False)]


def test_who_is_found_or_back_is_listed_and_missing_no_more(writer: Writer, reader: Engine) -> None:
    apply(writer, missing=[Missing(ticker="A", since=MONDAY, sessions=1)], gone={"B": "missing on 10 trading days"})
    apply(writer, found=[seen("A")], back=[seen("B", None)])
    held = known(reader)
    assert held["A"] == Known(ticker="A", kept=True, security_type="Common", seen_by=BOTH)
    assert held["B"] == Known(ticker="B", kept=True, seen_by=BOTH)
    assert [row[:2] for row in rows(reader, EVENTS)][2:] == [("A", "back"), ("B", "back")]


def test_a_type_is_told_once(writer: Writer, reader: Engine) -> None:
    apply(writer, seen=[seen("A", None)])
    apply(writer, seen=[seen("A", "Preferred")])
    apply(writer, seen=[seen("A", "Common")])
    assert known(reader)["A"].security_type == "Preferred"


def test_a_second_day_of_absence_is_no_second_suspicion(writer: Writer, reader: Engine) -> None:
    apply(writer, missing=[Missing(ticker="A", since=MONDAY, sessions=2)])
    assert rows(reader, EVENTS) == []


def test_a_trade_of_the_session_and_a_list_of_the_users_own_are_known(writer: Writer, reader: Engine) -> None:
    load_universe(writer, [Listing(ticker="A"), Listing(ticker="B")], by="bundled")
    writer.run(lambda tx: tx.connection.execute(_traded("A", NOON)), source="test")
    writer.run(lambda tx: tx.connection.execute(_traded("B", NOON - timedelta(days=1))), source="test")
    held = known(reader)
    assert {ticker for ticker, each in held.items() if each.traded} == {"A"}
    assert {ticker for ticker, each in held.items() if each.kept} == {"C"}
    assert all(each.kept for each in known(reader, all_kept=True).values())
    assert (held["A"].price, held["C"].price) == (7.5, None)


def _traded(ticker: str, at: datetime) -> Any:
    from sqlalchemy import update

    from storage.schema import stocks_stock

    return update(stocks_stock).where(stocks_stock.c.ticker == ticker).values(current_price=7.5, price_time=at)


@pytest.mark.parametrize(
    ("given", "gone"),
    [({"missing": [Missing(ticker="A", since=MONDAY, sessions=1)]}, ["A"]), ({"seen": [seen("A")]}, []), ({}, ["A"])],
)
def test_what_yahoo_calls_delisted_goes_at_once_unless_another_source_names_it(
    writer: Writer, reader: Engine, given: dict[str, Any], gone: list[str]
) -> None:
    """Of a listing too new to have traded Yahoo says "may be delisted", too."""
    apply(writer, **given)
    assert note_delisted(writer, ["A", "UNKNOWN"], session_date=TUESDAY, at=NOON) == gone
    assert known(reader)["A"].is_listed is (not gone)
    assert note_delisted(writer, [], session_date=TUESDAY, at=NOON) == []


def history(*, start: float = 10.0, sessions: int = 12, first: date = date(2026, 11, 2)) -> list[DayRow]:
    days = [first + timedelta(days=number) for number in range(sessions)]
    return [(day, start, start + 9, start - 1, start + number / 4, None, 100) for number, day in enumerate(days)]


def test_a_renamed_ticker_keeps_row_and_bars_and_gives_way_where_the_new_has_its_own(
    writer: Writer, reader: Engine
) -> None:
    replace_history(writer, "A", history(), keep_older=True)
    replace_history(writer, "B", [(date(2026, 11, 13), 50.0, 51.0, 49.0, 50.0, None, 1)], keep_older=True)
    writer.run(lambda tx: tx.connection.execute(_traded("A", NOON)), source="test")
    (before,) = rows(reader, "SELECT id FROM stocks_stock WHERE ticker = 'A'")
    rename(writer, "A", "B", session_date=MONDAY, at=NOON)
    assert rows(reader, "SELECT id, current_price FROM stocks_stock WHERE ticker = 'B'") == [(*before, 7.5)]
    assert [row.ticker for row in read_tickers(reader)] == ["B", "C"]
    assert read_history(reader, "A") == []
    closes = [row[4] for row in read_history(reader, "B")]
    assert closes == [10 + number / 4 for number in range(11)] + [50.0]
    assert rows(reader, EVENTS) == [("B", "renamed", "A", "the new ticker has its past")]


def test_how_far_the_nights_refresh_is_goes_along_unless_the_new_ticker_is_further(
    writer: Writer, reader: Engine
) -> None:
    def quoted(ticker: str, bars_through: date) -> Quoted:
        return Quoted(ticker=ticker, quote="done", bars_through=bars_through)

    mark_quoted(writer, [quoted("A", MONDAY), quoted("B", MONDAY), quoted("C", TUESDAY)], session_date=MONDAY)
    apply(writer, renamed=[("A", "AA"), ("B", "C")])
    found = rows(reader, "SELECT ticker, bars_through FROM daily_progress ORDER BY ticker")
    assert [(ticker, str(day)) for ticker, day in found] == [("AA", str(MONDAY)), ("C", str(TUESDAY))]


def test_a_rename_that_was_judged_moves_the_row_and_the_bars(writer: Writer, reader: Engine) -> None:
    replace_history(writer, "A", history(), keep_older=True)
    apply(writer, missing=[Missing(ticker="A", since=MONDAY, sessions=1)])
    apply(writer, renamed=[("A", "AA")])
    assert len(read_history(reader, "AA")) == 12
    assert known(reader)["AA"] == Known(ticker="AA", kept=True)


def test_the_former_ticker_is_the_suspect_with_the_same_past(writer: Writer, reader: Engine) -> None:
    replace_history(writer, "A", history(), keep_older=True)
    replace_history(writer, "B", history(start=20.0), keep_older=True)
    new = [(row[0], *row[1:4], row[4] + 0.004, None, 7) for row in history(sessions=15)]
    assert find_former(reader, "NEW", new, session_date=MONDAY) is None, "A is not missing"
    apply(writer, missing=[Missing(ticker=each, since=MONDAY, sessions=1) for each in ("A", "B")])
    assert find_former(reader, "NEW", new, session_date=MONDAY) == "A"
    assert find_former(reader, "A", new, session_date=MONDAY) is None
    replace_history(writer, "B", history(), keep_older=True)
    assert find_former(reader, "NEW", new, session_date=MONDAY) is None, "two have that past"


def test_a_past_is_the_same_only_where_enough_of_it_tells() -> None:
    closes = {row[0]: row[4] for row in history()}
    assert is_same_past(closes, closes)
    assert not is_same_past(closes, dict(list(closes.items())[:9])), "nine sessions"
    assert not is_same_past(dict.fromkeys(closes, 10.0), dict.fromkeys(closes, 10.0)), "a company that does not trade"
    assert not is_same_past(
        closes, {day: close + (0.02 if number % 4 == 0 else 0) for number, (day, close) in enumerate(closes.items())}
    )


def test_a_ticker_that_got_an_older_row_is_asked_for_anew(writer: Writer, reader: Engine) -> None:
    """What the night has told of it was in the row that gave way."""
    mark_quoted(writer, [Quoted(ticker="B", quote="done")], session_date=MONDAY)
    rename(writer, "A", "B", session_date=MONDAY, at=NOON)
    assert rows(reader, "SELECT * FROM daily_progress") == []
