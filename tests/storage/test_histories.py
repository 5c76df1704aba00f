from __future__ import annotations

import math
from datetime import date

import pytest
from sqlalchemy import Engine, text

from storage.daily_bars import BarResult, DailyBar, write_daily_bars
from storage.histories import DayRow, read_histories, read_history, read_spans, replace_histories, replace_history
from storage.writer import Writer

FRIDAY, MONDAY, TUESDAY = date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 24)
LAST_CENTURY = date(1999, 12, 31)


def bar(day: date, close: float = 10.0, volume: int | None = 100) -> DayRow:
    return day, close, close + 1, close - 1, close, close / 2, volume


def test_a_history_is_written_and_read_back_oldest_first(writer: Writer, reader: Engine) -> None:
    rows = [bar(MONDAY), bar(LAST_CENTURY, 3.0, volume=None), (FRIDAY, 1.0, 2.0, 0.5, 1.5, None, 7)]
    assert replace_history(writer, "A", rows, keep_older=True) == BarResult(written=3, refused=0)
    assert read_history(reader, "A") == [rows[1], rows[2], rows[0]]
    assert read_history(reader, "B") == []
    assert read_spans(reader) == {"A": (3, LAST_CENTURY, MONDAY)}
    with reader.connect() as connection:
        assert set(connection.execute(text("SELECT source FROM stocks_daily_bar")).scalars()) == {"chart"}


def test_histories_are_read_together_and_one_without_a_bar_is_empty(writer: Writer, reader: Engine) -> None:
    days = [bar(date(2026, 11, 19)), bar(date(2026, 11, 20), close=10.5, volume=None)]
    replace_histories(writer, [("A", days), ("B", days[1:])], keep_older=True)
    assert read_histories(reader, ["B", "NONE", "A"]) == {"B": days[1:], "NONE": [], "A": days}


def test_a_rewritten_past_leaves_no_older_bar_and_every_newer_one(writer: Writer, reader: Engine) -> None:
    replace_history(writer, "A", [bar(LAST_CENTURY), bar(FRIDAY), bar(MONDAY), bar(TUESDAY)], keep_older=True)
    replace_history(writer, "B", [bar(LAST_CENTURY)], keep_older=True)
    replace_history(writer, "A", [bar(MONDAY, 5.0)], keep_older=False)
    assert read_history(reader, "A") == [bar(MONDAY, 5.0), bar(TUESDAY)]
    assert read_history(reader, "B") == [bar(LAST_CENTURY)]


def test_a_filled_gap_leaves_what_is_older_and_takes_away_what_the_source_does_not_have(
    writer: Writer, reader: Engine
) -> None:
    replace_history(writer, "A", [bar(LAST_CENTURY), bar(FRIDAY), bar(MONDAY), bar(TUESDAY)], keep_older=True)
    replace_history(writer, "A", [bar(FRIDAY, 6.0), bar(TUESDAY, 6.0)], keep_older=True)
    assert read_history(reader, "A") == [bar(LAST_CENTURY), bar(FRIDAY, 6.0), bar(TUESDAY, 6.0)]


@pytest.mark.parametrize(
    "wrong",
    [
        (MONDAY, 10.0, 9.0, 8.0, 8.5, None, 1),
        (MONDAY, 10.0, 11.0, 10.5, 10.7, None, 1),
        (MONDAY, 10.0, 11.0, 9.0, 12.0, None, 1),
        (MONDAY, 10.0, 11.0, 0.0, 10.0, None, 1),
        (MONDAY, math.nan, 11.0, 9.0, 10.0, None, 1),
        (MONDAY, 10.0, math.inf, 9.0, 10.0, None, 1),
        (MONDAY, 10.0, 11.0, 9.0, 10.0, math.nan, 1),
        (MONDAY, 10.0, 11.0, 9.0, 10.0, None, -1),
        (MONDAY, 10.0, 11.0, 9.0, 10.0, None, 2**63),
        (MONDAY, 10.0, 11.0, 9.0, 10.0, None, 1.5),
        (MONDAY, None, 11.0, 9.0, 10.0, None, 1),
    ],
)
def test_a_wrong_row_is_refused_and_the_others_are_kept(writer: Writer, reader: Engine, wrong: DayRow) -> None:
    assert replace_history(writer, "A", [bar(FRIDAY), wrong], keep_older=False) == BarResult(written=1, refused=1)
    assert replace_history(writer, "A", [wrong], keep_older=False) == BarResult(written=0, refused=1)
    assert read_history(reader, "A") == [bar(FRIDAY)], "without a sound row nothing is taken away"


def test_many_tickers_are_replaced_each_whole_and_the_last_of_two_rows_counts(
    writer: Writer, reader: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.histories.ROWS_A_TRANSACTION", 3)
    histories = [(f"T{number}", [bar(FRIDAY, 2.0), bar(MONDAY, 2.0), bar(MONDAY, 3.0)]) for number in range(5)]
    assert replace_histories(writer, iter(histories), keep_older=False) == BarResult(written=10, refused=0)
    assert read_spans(reader) == {f"T{number}": (2, FRIDAY, MONDAY) for number in range(5)}
    assert read_history(reader, "T4") == [bar(FRIDAY, 2.0), bar(MONDAY, 3.0)]


def test_the_cube_is_told_that_bars_have_changed(writer: Writer, reader: Engine) -> None:
    first = DailyBar(
        ticker="A", session_date=MONDAY, open=1, high=1, low=1, close=1, adj_close=None, volume=1, source="quote"
    )
    write_daily_bars(writer, [first])
    marker = text("SELECT seq FROM change_marker WHERE source = 'daily_bars'")
    with reader.connect() as connection:
        before = connection.execute(marker).scalar_one()
    replace_history(writer, "A", [bar(MONDAY)], keep_older=False)
    with reader.connect() as connection:
        assert connection.execute(marker).scalar_one() > before
