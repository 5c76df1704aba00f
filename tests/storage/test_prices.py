from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, text

from storage.prices import FlushResult, PriceRow, confirm_prices, flush_prices
from storage.reader import read_quotes
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock

SECOND = timedelta(seconds=1)


def flush(writer: Writer, *rows: PriceRow, opens_at: datetime = OPENS_AT) -> FlushResult:
    return flush_prices(writer, rows, price_source="stream", session_opens_at=opens_at)


def a_price(price_usd: float, *, ticker: str = "A", at: datetime = NOON, **more: Any) -> PriceRow:
    return PriceRow(ticker=ticker, price_usd=price_usd, price_time=at, **more)


def row_of(reader: Engine, ticker: str = "A") -> dict[str, Any]:
    rows, _ = read_quotes(reader, [ticker], at=NOON)
    return rows[0]


def marker(reader: Engine) -> int | None:
    with reader.connect() as connection:
        return connection.execute(text("SELECT seq FROM change_marker WHERE source = 'prices'")).scalar()


def test_a_flush_writes_every_column_of_the_price_group(writer: Writer, reader: Engine) -> None:
    result = flush(writer, a_price(10.5, change=0.5, change_percent=5.0, at=NOON - SECOND))
    row = row_of(reader)
    assert (row["current_price"], row["price_change"], row["price_change_percent"]) == (10.5, 0.5, 5.0)
    assert (row["price_time"], row["price_source"]) == (NOON - SECOND, "stream")
    assert (row["price_updated_at"], row["last_updated"]) == (NOON, NOON)
    assert (row["days_high"], row["days_low"]) == (10.5, 10.5)
    assert row["change_seq"] == result.seq == marker(reader)
    assert (result.written, result.committed_at) == (1, NOON)


def test_a_ticker_written_twice_in_a_batch_keeps_the_newest(writer: Writer, reader: Engine) -> None:
    result = flush(writer, a_price(2.0, at=NOON), a_price(1.0, at=NOON - SECOND))
    assert result.written == 1
    assert row_of(reader)["current_price"] == 2.0


def test_an_older_price_is_refused_and_counted(writer: Writer, reader: Engine) -> None:
    flush(writer, a_price(2.0))
    result = flush(writer, a_price(1.0, at=NOON - SECOND))
    assert (result.written, result.refused_stale, result.unknown_ticker) == (0, 1, 0)
    row = row_of(reader)
    assert (row["current_price"], row["days_low"]) == (2.0, 2.0)


@pytest.mark.parametrize("price_usd", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_an_impossible_price_is_dropped_and_counted(writer: Writer, reader: Engine, price_usd: float) -> None:
    result = flush(writer, a_price(price_usd), a_price(3.0, ticker="B"))
    assert (result.written, result.refused_not_finite) == (1, 1)
    assert row_of(reader)["current_price"] is None
    assert row_of(reader, "B")["current_price"] == 3.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_usd": "10.5"},
        {"price_usd": True},
        {"price_usd": None},
        {"price_usd": 10**400},
        {"price_time": "2026-11-23"},
        {"price_time": NOON.replace(tzinfo=None)},
        {"price_time": None},
        {"heard_at": NOON.replace(tzinfo=None)},
        {"change": "0.5"},
        {"change_percent": math.inf},
        {"kind": "overnight"},
        {"ticker": None},
        {"ticker": ["A"]},
        {"ticker": "A\0"},
        {"ticker": "\ud800"},
    ],
)
@pytest.mark.parametrize("others", [1, 2])
def test_a_row_with_a_wrong_type_is_counted_and_the_rest_written(
    writer: Writer, reader: Engine, wrong: Any, others: int
) -> None:
    """With one row more the batch also holds a duplicate."""
    sound = [a_price(3.0, ticker="B")] * others
    result = flush(writer, replace(a_price(1.0), **wrong), *sound)
    assert (result.written, result.refused_not_finite) == (1, 1)
    assert row_of(reader)["current_price"] is None
    assert row_of(reader, "B")["current_price"] == 3.0


@pytest.mark.parametrize("kind", ["regular", "pre", "post"])
@pytest.mark.parametrize("others", [1, 2])
def test_a_price_of_the_future_is_refused_so_that_it_cannot_freeze_its_row(
    writer: Writer, reader: Engine, kind: Any, others: int
) -> None:
    """With one row more the batch also holds a duplicate."""
    sound = [a_price(3.0, ticker="B", at=NOON + 60 * SECOND)] * others
    result = flush(writer, a_price(1.0, at=NOON + 60.001 * SECOND, kind=kind), *sound)
    assert (result.written, result.refused_not_finite) == (1, 1)
    row = row_of(reader)
    columns = ("current_price", "price_time", "pre_market_price", "post_market_price")
    assert {row[column] for column in columns} == {None}
    assert row_of(reader, "B")["price_time"] == NOON + 60 * SECOND, "clocks differ by as much"
    assert flush(writer, a_price(2.0)).written == 1


def test_whole_numbers_are_numbers_too(writer: Writer, reader: Engine) -> None:
    result = flush(writer, a_price(10, change=-1, change_percent=2.5), a_price(2.5, ticker="B", change=0.5))
    assert result.written == 2
    assert [row_of(reader, ticker)["current_price"] for ticker in ("A", "B")] == [10.0, 2.5]
    assert row_of(reader)["price_change"] == -1.0


def test_a_change_that_is_not_finite_is_refused(writer: Writer) -> None:
    assert flush(writer, a_price(3.0, change=math.nan)).refused_not_finite == 1


def test_an_unknown_ticker_is_counted_and_the_rest_written(writer: Writer, reader: Engine) -> None:
    result = flush(writer, a_price(1.0, ticker="ZZZ"), a_price(2.0), a_price(3.0, ticker="YYY", kind="pre"))
    assert (result.written, result.unknown_ticker, result.refused_stale) == (1, 2, 0)
    assert row_of(reader)["current_price"] == 2.0


def test_a_repeated_price_is_only_confirmed(writer: Writer, reader: Engine, still_clock: StillClock) -> None:
    first = flush(writer, a_price(2.0, change=0.1))
    still_clock.at = NOON + SECOND
    again = flush(writer, a_price(2.0, change=0.1))
    row = row_of(reader)
    assert again.written == 1
    assert (row["price_updated_at"], row["last_updated"]) == (NOON + SECOND, NOON + SECOND)
    assert row["change_seq"] == first.seq < again.seq


def test_the_same_price_at_a_newer_time_is_a_change(writer: Writer, reader: Engine) -> None:
    flush(writer, a_price(2.0))
    again = flush(writer, a_price(2.0, at=NOON + SECOND))
    row = row_of(reader)
    assert (row["price_time"], row["change_seq"]) == (NOON + SECOND, again.seq)


def test_a_price_heard_before_an_outage_is_not_called_fresh(writer: Writer, reader: Engine) -> None:
    flush(writer, a_price(2.0, at=NOON - SECOND * 90, heard_at=NOON - SECOND * 60))
    assert row_of(reader)["price_updated_at"] == NOON - SECOND * 60
    confirm_prices(writer, ["A"], at=NOON)
    flush(writer, a_price(2.1, at=NOON - SECOND * 50, heard_at=NOON - SECOND * 40))
    assert row_of(reader)["price_updated_at"] == NOON, "it never moves backwards"


def test_the_days_range_widens_within_a_session(writer: Writer, reader: Engine) -> None:
    for number, price_usd in enumerate((10.0, 12.0, 9.0, 11.0)):
        flush(writer, a_price(price_usd, at=OPENS_AT + number * SECOND))
    row = row_of(reader)
    assert (row["days_high"], row["days_low"]) == (12.0, 9.0)


def test_a_late_price_of_the_former_session_does_not_start_its_range_again(writer: Writer, reader: Engine) -> None:
    """At midnight of a market that never closes, trades of both days are in one flush."""
    flush(writer, a_price(10.0, at=OPENS_AT))
    flush(writer, a_price(12.0, at=OPENS_AT + SECOND))
    flush(writer, a_price(11.0, at=OPENS_AT + 2 * SECOND), opens_at=OPENS_AT + 60 * SECOND)
    row = row_of(reader)
    assert (row["days_high"], row["days_low"]) == (12.0, 10.0)


def test_the_days_range_of_a_former_session_starts_again(writer: Writer, reader: Engine) -> None:
    yesterday = timedelta(days=1)
    flush(writer, a_price(50.0, at=OPENS_AT - yesterday), opens_at=OPENS_AT - yesterday)
    flush(writer, a_price(10.0, at=OPENS_AT))
    row = row_of(reader)
    assert (row["days_high"], row["days_low"]) == (10.0, 10.0)


@pytest.mark.parametrize("kind", ["pre", "post"])
def test_an_extended_price_touches_nothing_but_its_own_column(writer: Writer, reader: Engine, kind: Any) -> None:
    before = row_of(reader)
    result = flush(writer, a_price(5.0, kind=kind))
    after = row_of(reader)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{kind}_market_price", "change_seq"}
    assert after["change_seq"] == result.seq
    again = flush(writer, a_price(5.0, kind=kind))
    assert row_of(reader)["change_seq"] == result.seq < again.seq


def test_a_flush_in_which_no_change_is_known_works(writer: Writer, reader: Engine) -> None:
    """An array of nothing but NULLs has no type of its own on PostgreSQL."""
    flush(writer, a_price(1.0), a_price(2.0, ticker="B"))
    assert row_of(reader)["price_change"] is None


def test_a_flush_of_nothing_moves_no_marker(writer: Writer, reader: Engine) -> None:
    assert flush(writer).written == 0
    assert flush(writer, a_price(math.nan)).written == 0
    assert marker(reader) is None


def test_a_confirmation_moves_the_time_and_no_value(writer: Writer, reader: Engine) -> None:
    flush(writer, a_price(2.0))
    before = row_of(reader)
    assert confirm_prices(writer, ["A", "A", "B", "ZZZ"], at=NOON + SECOND) == 1, "B has no price to confirm"
    after = row_of(reader)
    assert {name for name in after if after[name] != before[name]} == {
        "price_updated_at",
        "last_updated",
        "price_age_s",
    }
    assert after["price_updated_at"] == NOON + SECOND


def test_a_confirmation_never_moves_time_backwards(writer: Writer, reader: Engine) -> None:
    flush(writer, a_price(2.0))
    assert confirm_prices(writer, ["A"], at=NOON - SECOND) == 0
    assert row_of(reader)["price_updated_at"] == NOON


def test_the_documented_query_shows_the_newest_first(writer: Writer, reader: Engine, still_clock: StillClock) -> None:
    for number, ticker in enumerate(("B", "C", "A")):
        still_clock.at = NOON + number * SECOND
        flush(writer, a_price(number + 1.0, ticker=ticker))
    query = "SELECT ticker, current_price, last_updated FROM stocks_stock ORDER BY last_updated DESC LIMIT 10"
    with reader.connect() as connection:
        rows = connection.execute(text(query)).all()
    assert [(row.ticker, row.current_price) for row in rows] == [("A", 3.0), ("C", 2.0), ("B", 1.0)]
    if reader.dialect.name == "sqlite":
        assert rows[0].last_updated == "2026-11-23 17:00:02.000000"
