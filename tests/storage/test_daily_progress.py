from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Engine

from storage.daily_bars import DailyBar, write_daily_bars
from storage.daily_progress import (
    Answered,
    Quoted,
    Standing,
    mark_charts,
    mark_fundamentals,
    mark_quoted,
    read_last_closes,
    read_standings,
)
from storage.writer import Writer
from tests.fix_storage import NOON

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)


def standings(reader: Engine) -> list[Standing]:
    """Of A and B: the table holds others too."""
    return [each for each in read_standings(reader) if each.ticker in "AB"]


def test_what_each_listed_ticker_came_to_is_read_back(writer: Writer, reader: Engine) -> None:
    assert standings(reader) == [Standing(ticker="A"), Standing(ticker="B")]
    mark_quoted(writer, [Quoted(ticker="A", quote="done", bar="written", chart_need="new")], session_date=MONDAY)
    mark_fundamentals(writer, [Answered(ticker="A", outcome="done", at=NOON)], session_date=MONDAY)
    later = NOON + timedelta(hours=1)
    mark_charts(writer, [Answered(ticker="A", outcome="first", at=later, bars_through=MONDAY)], session_date=MONDAY)
    assert standings(reader)[0] == Standing(
        ticker="A",
        session=MONDAY,
        quote="done",
        bar="written",
        chart_need="new",
        fundamentals="done",
        chart="first",
        fundamentals_at=NOON,
        chart_at=later,
        bars_through=MONDAY,
    )


def test_a_new_session_begins_anew_but_remembers_when_and_how_far(writer: Writer, reader: Engine) -> None:
    mark_quoted(writer, [Quoted(ticker="A", quote="done", bars_through=FRIDAY)], session_date=FRIDAY)
    mark_fundamentals(writer, [Answered(ticker="A", outcome="done", at=NOON)], session_date=FRIDAY)
    mark_quoted(writer, [Quoted(ticker="A", quote="done", chart_need="dividend")], session_date=MONDAY)
    standing = standings(reader)[0]
    assert standing == Standing(
        ticker="A",
        session=MONDAY,
        quote="done",
        chart_need="dividend",
        fundamentals_at=NOON,
        bars_through=FRIDAY,
    )


def test_a_quote_that_is_asked_again_in_the_same_session_forgets_nothing(writer: Writer, reader: Engine) -> None:
    for _ in range(2):
        mark_quoted(writer, [Quoted(ticker="A", quote="done", chart_need="gap")], session_date=MONDAY)
        mark_fundamentals(writer, [Answered(ticker="A", outcome="done", at=NOON)], session_date=MONDAY)
        mark_charts(writer, [Answered(ticker="A", outcome="added", at=NOON)], session_date=MONDAY)
    mark_quoted(writer, [Quoted(ticker="A", quote="done", chart_need="gap")], session_date=MONDAY)
    standing = standings(reader)[0]
    assert (standing.fundamentals, standing.chart) == ("done", "added")


def test_an_answer_to_a_session_that_is_over_marks_nothing(writer: Writer, reader: Engine) -> None:
    mark_quoted(writer, [Quoted(ticker="A", quote="done")], session_date=MONDAY)
    mark_fundamentals(writer, [Answered(ticker="A", outcome="done", at=NOON)], session_date=FRIDAY)
    assert standings(reader)[0].fundamentals is None


def test_fundamentals_ask_for_a_chart_only_where_none_is_needed_already(writer: Writer, reader: Engine) -> None:
    quoted = [Quoted(ticker="A", quote="done", chart_need="gap"), Quoted(ticker="B", quote="done")]
    mark_quoted(writer, quoted, session_date=MONDAY)
    told = [Answered(ticker=each, outcome="done", at=NOON, chart_need="dividend") for each in "AB"]
    mark_fundamentals(writer, told, session_date=MONDAY)
    assert [each.chart_need for each in standings(reader)] == ["gap", "dividend"]


def test_the_last_close_is_that_of_the_newest_bar_before_the_session(writer: Writer, reader: Engine) -> None:
    mark_quoted(writer, [Quoted(ticker=each, quote="done") for each in "AB"], session_date=FRIDAY)
    numbers = {"open": 1.0, "high": 9.0, "low": 1.0, "adj_close": None, "volume": 1, "source": "chart"}
    days = {FRIDAY - timedelta(days=1): 2.0, FRIDAY: 3.0, MONDAY: 4.0}
    bars = [DailyBar(ticker="A", session_date=day, close=close, **numbers) for day, close in days.items()]  # type: ignore[arg-type]
    write_daily_bars(writer, bars)
    assert read_last_closes(reader, MONDAY) == {"A": 3.0}
