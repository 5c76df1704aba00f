from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.clock import SystemClock
from storage import bar_rows
from storage.bar_rows import (
    bars_write,
    moment,
    quotes_of_session,
    read_all_bars,
    read_bars_of,
    read_marks,
    read_quotes_since,
    read_unlisted,
)
from storage.daily_bars import write_daily_bars
from storage.engine import open_engine
from storage.histories import replace_histories
from storage.queries import query
from storage.schema import parameter
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT
from tests.storage.test_daily_bars import BAR

DAYS = [date(2026, 11, day) for day in (19, 20, 23)]


@pytest.fixture
def filled(writer: Writer) -> Writer:
    bars = [replace(BAR, session_date=day, close=10.0 + place, volume=100) for place, day in enumerate(DAYS)]
    write_daily_bars(writer, [*bars, replace(BAR, ticker="B", volume=None)])
    return writer


def as_date(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def test_every_bar_comes_once_in_batches(filled: Writer, reader: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_rows, "ROWS_A_BATCH", 3)
    batches = list(read_all_bars(reader, since=date(1970, 1, 1)))
    assert [len(batch) for batch in batches] == [3, 1]
    rows = sorted((ticker, as_date(day), *values) for batch in batches for ticker, day, *values in batch)
    assert rows == [
        *(("A", day, 10.0, 12.0, 9.0, 10.0 + place, 100) for place, day in enumerate(DAYS)),
        ("B", DAYS[-1], 10.0, 12.0, 9.0, 11.0, None),
    ]


def test_bars_before_a_day_are_left_out(filled: Writer, reader: Engine) -> None:
    (rows,) = read_all_bars(reader, since=DAYS[2])
    assert sorted(row[0] for row in rows) == ["A", "B"]


def test_the_bars_of_chosen_tickers_come_by_date(filled: Writer, reader: Engine) -> None:
    found = {ticker: [as_date(row[1]) for row in rows] for ticker, rows in read_bars_of(reader, ["A", "NONE"])}
    assert found == {"A": DAYS, "NONE": []}


def marks(reader: Engine) -> dict[str, tuple[Any, ...]]:
    return {ticker: (bars, as_date(newest), *sums) for ticker, bars, newest, *sums in read_marks(reader)}


def test_a_mark_tells_how_many_bars_the_newest_and_the_sum_of_volumes(filled: Writer, reader: Engine) -> None:
    found = {ticker: (bars, newest, volumes) for ticker, (bars, newest, _, volumes) in marks(reader).items()}
    assert found == {"A": (3, DAYS[2], 300), "B": (1, DAYS[2], -1)}


@pytest.mark.parametrize(
    "change",
    [
        "high = low, low = high WHERE session_date = :second",
        "close = close + 0.0001 WHERE session_date = :second",
        "close = CASE session_date WHEN :first THEN close + 0.01 ELSE close - 0.01 END WHERE session_date < :third",
        "close = 21 - close WHERE session_date < :third",
        "session_date = :before WHERE session_date = :first",
        "open = open / 2, high = high / 2, low = low / 2, close = close / 2, volume = volume * 2 WHERE 1 = 1",
        "volume = 101 WHERE session_date = :second",
    ],
    ids=[
        "swapped in a bar",
        "by little",
        "one wins what the other loses",
        "two days swapped",
        "re-dated",
        "split",
        "volume",
    ],
)
def test_bars_written_anew_with_the_same_count_and_newest_day_move_the_mark(
    filled: Writer, reader: Engine, change: str
) -> None:
    before = marks(reader)
    days = dict(zip(("first", "second", "third", "before"), [*DAYS, date(2026, 11, 18)], strict=True))
    with filled.transaction(source="daily_bars") as tx:
        given = {key: parameter(day, tx.dialect) for key, day in days.items() if f":{key}" in change}
        tx.connection.execute(text(f"UPDATE stocks_daily_bar SET {change} AND ticker = 'A'"), given)
    after = marks(reader)
    assert after["B"] == before["B"] and after["A"][:2] == before["A"][:2]
    assert after["A"][3] != before["A"][3] or abs(after["A"][2] / before["A"][2] - 1) > 1e-9


def test_each_write_of_bars_moves_their_number(writer: Writer, reader: Engine) -> None:
    assert bars_write(reader) == ""
    write_daily_bars(writer, [BAR])
    first = bars_write(reader)
    write_daily_bars(writer, [replace(BAR, close=10.5)])
    assert "" != first != bars_write(reader)


def test_dropped_tickers_are_told(writer: Writer, reader: Engine) -> None:
    assert read_unlisted(reader) == set()
    with writer.transaction(source="test") as tx:
        tx.connection.execute(text("UPDATE stocks_stock SET is_listed = false WHERE ticker = 'C'"))
    assert read_unlisted(reader) == {"C"}


PRICED = """UPDATE stocks_stock SET current_price = 11, open_price = 10, days_high = 12, days_low = 9, volume = 500,
    previous_close = 10.5, price_time = :at, metrics_updated_at = :day_at, change_seq = :seq WHERE ticker = :ticker"""


def price(writer: Writer, ticker: str, *, at: datetime, day_at: datetime | None, seq: int) -> None:
    with writer.transaction(source="test") as tx:
        given = {"at": at, "day_at": day_at, "seq": seq, "ticker": ticker}
        tx.connection.execute(text(PRICED), {key: parameter(value, tx.dialect) for key, value in given.items()})


def test_quotes_come_when_their_row_changed_and_only_with_a_price(writer: Writer, reader: Engine) -> None:
    price(writer, "A", at=NOON, day_at=NOON, seq=5)
    rows, seq = read_quotes_since(reader, 0)
    assert seq == 5 and [(row[0], *row[1:6], moment(row[6])) for row in rows] == [("A", 11, 10, 12, 9, 500, NOON)]
    assert read_quotes_since(reader, 5) == ([], 5)
    price(writer, "B", at=NOON, day_at=None, seq=6)
    rows, seq = read_quotes_since(reader, 5)
    assert seq == 6 and [row[0] for row in rows] == ["B"] and moment(rows[0][7]) is None


def test_a_quote_counts_for_the_session_of_its_price(writer: Writer, reader: Engine) -> None:
    yesterday = OPENS_AT - timedelta(days=3)
    price(writer, "A", at=NOON, day_at=NOON, seq=5)
    price(writer, "B", at=NOON, day_at=yesterday, seq=6)
    price(writer, "C", at=yesterday, day_at=NOON, seq=7)
    rows, _ = read_quotes_since(reader, 0)
    found = quotes_of_session(rows, opens_at=OPENS_AT, dialect=reader.dialect.name)
    assert sorted(found) == [("A", 10, 12, 9, 11, 500, 10.5), ("B", 11, 12, 9, 11, None, None)]


AT = datetime(2026, 11, 23, 15, tzinfo=UTC)


def of_session(*quote: Any) -> tuple[Any, ...]:
    """(price, open, high, low, volume, when the metrics were written) of a ticker that traded at AT."""
    *numbers, day_at = quote
    (found,) = quotes_of_session([("A", *numbers, AT, day_at, 10.5, 1)], opens_at=OPENS_AT, dialect="postgresql")
    return found[1:]


def test_a_price_beyond_the_range_told_widens_it() -> None:
    assert of_session(13.0, 10.0, 12.0, 9.0, 5, AT) == (10, 13, 9, 13, 5, 10.5)
    assert of_session(8.0, None, None, None, None, AT) == (8, 8, 8, 8, None, 10.5)


def test_yesterdays_open_and_volume_do_not_pass_for_todays() -> None:
    """The metrics of 9:30:10 still hold them of a ticker whose first trade comes at 9:31."""
    assert of_session(11.0, 9.5, 11.0, 11.0, 900_000, AT) == (11, 11, 11, 11, None, 10.5)
    assert of_session(11.0, 11.0, 11.0, 11.0, 300, OPENS_AT) == (11, 11, 11, 11, 300, 10.5)


def test_postgresql_reads_by_the_key_and_only_the_years_that_are_asked_for(postgresql_url: str) -> None:
    bars = [(date(year, 6, 1), 1.0, 1.0, 1.0, 1.0, None, 1) for year in (2040, 2041)]
    with Writer.open(postgresql_url, service="test", origin=None, clock=SystemClock()) as writer:
        replace_histories(writer, [(f"T{number}", bars) for number in range(2000)], keep_older=False)
    engine = open_engine(postgresql_url, service="test")

    def plan(name: str, **given: object) -> str:
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE stocks_daily_bar")
            lines = connection.exec_driver_sql("EXPLAIN " + query(name, "postgresql"), given).scalars()
            return "\n".join(lines)

    one = plan("daily_bars_of", ticker="T7")
    assert "Seq Scan on stocks_daily_bar_204" not in one
    assert "stocks_daily_bar_2040_pkey" in one
    recent = plan("all_daily_bars", since=date(2041, 1, 1))
    assert "stocks_daily_bar_2041" in recent
    assert "stocks_daily_bar_2040" not in recent
    engine.dispose()
