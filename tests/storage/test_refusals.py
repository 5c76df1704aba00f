from __future__ import annotations

from datetime import date

from sqlalchemy import Engine

from storage.refusals import Refusal, add_refusals, read_refusals
from storage.writer import Writer

SESSION = date(2026, 11, 23)


def test_counts_of_a_session_add_up_and_the_newest_example_stands(writer: Writer, reader: Engine) -> None:
    add_refusals(writer, SESSION, "quote", {"currency": 2, "day_range": 0}, examples={"currency": "A"})
    add_refusals(writer, SESSION, "quote", {"currency": 3}, examples={"currency": "B"})
    add_refusals(writer, SESSION, "quote", {"currency": 1})
    assert read_refusals(reader, since=SESSION) == [
        Refusal(session_date=SESSION, endpoint="quote", rule="currency", refused=6, example="B")
    ]


def test_the_newest_session_and_the_most_frequent_come_first(writer: Writer, reader: Engine) -> None:
    older = date(2026, 11, 20)
    add_refusals(writer, older, "chart", {"order": 9})
    add_refusals(writer, SESSION, "chart", {"order": 1, "no_time": 4})
    found = [(each.session_date, each.rule) for each in read_refusals(reader, since=older)]
    assert found == [(SESSION, "no_time"), (SESSION, "order"), (older, "order")]
    assert len(read_refusals(reader, since=SESSION)) == 2


def test_nothing_refused_is_nothing_written(writer: Writer, reader: Engine) -> None:
    add_refusals(writer, SESSION, "quote", {})
    assert read_refusals(reader, since=SESSION) == []
