from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import Engine, select

from core.errors import FixByHand
from market.quotes import Quote
from market.universe import Listing
from storage.daily_bars import DailyBar, write_daily_bars
from storage.export import ROWS_A_READ, TABLES, write_csv, write_parquet
from storage.quotes import write_quotes
from storage.schema import UtcTime, stocks_daily_bar, stocks_stock
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, NOON, OPENS_AT

PRICES = {"open": 1.0, "high": 2.5, "low": 0.1 + 0.2, "close": 1.0}
MONDAY = date(2026, 11, 23)


@pytest.fixture
def filled(writer: Writer) -> Writer:
    """NA and NAN beside A, B, C; A has a quote, the rest is NULL; NAN has a bar."""
    names = [Listing(ticker="NA", company_name='National "A", Inc.\nof Maine'), Listing(ticker="NAN")]
    load_universe(writer, names)
    quote = Quote(ticker="A", current_price=0.1 + 0.2, price_time=NOON, volume=7, next_earnings_date=date(2026, 12, 1))
    write_quotes(writer, [quote], at=NOON, session_opens_at=OPENS_AT, session_closes_at=CLOSES_AT)
    bar = DailyBar(ticker="NAN", session_date=MONDAY, **PRICES, adj_close=None, volume=2**40, source="quote")
    write_daily_bars(writer, [bar])
    return writer


def held(engine: Engine, name: str) -> list[dict[str, Any]]:
    table = TABLES[name]
    with engine.connect() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        return [dict(row) for row in rows]


def read_back(name: str, text: str) -> list[dict[str, Any]]:
    """Read CSV by the rules that the module's docstring gives."""
    readers: dict[type, Callable[[str], Any]] = {
        int: int,
        float: float,
        str: str,
        date: date.fromisoformat,
        datetime: datetime.fromisoformat,
        bool: {"true": True, "false": False}.__getitem__,
    }
    types = {
        column.name: datetime if isinstance(column.type, UtcTime) else column.type.python_type
        for column in TABLES[name].columns
    }
    return [
        {key: readers[types[key]](value) if value else None for key, value in row.items()}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


@pytest.mark.parametrize("name", TABLES)
def test_csv_says_what_the_table_holds(filled: Writer, reader: Engine, name: str) -> None:
    out = io.StringIO(newline="")
    rows = write_csv(reader, TABLES[name], out)
    assert read_back(name, out.getvalue()) == held(reader, name)
    assert rows == len(held(reader, name)) > 0


def test_csv_is_plain(filled: Writer, reader: Engine) -> None:
    out = io.StringIO(newline="")
    write_csv(reader, stocks_daily_bar, out)
    assert out.getvalue() == (
        "ticker,session_date,open,high,low,close,adj_close,volume,source\n"
        "NAN,2026-11-23,1.0,2.5,0.30000000000000004,1.0,,1099511627776,quote\n"
    )


def test_times_and_truth_are_written_for_every_reader(filled: Writer, reader: Engine) -> None:
    out = io.StringIO(newline="")
    write_csv(reader, stocks_stock, out)
    row = next(row for row in csv.DictReader(io.StringIO(out.getvalue(), newline="")) if row["ticker"] == "A")
    assert (row["price_time"], row["next_earnings_date"], row["is_listed"]) == (
        "2026-11-23T17:00:00.000000Z",
        "2026-12-01",
        "true",
    )


@pytest.mark.parametrize("name", TABLES)
def test_parquet_holds_the_values_with_their_types(filled: Writer, reader: Engine, name: str) -> None:
    out = io.BytesIO()
    rows = write_parquet(reader, TABLES[name], out)
    table = parquet.read_table(io.BytesIO(out.getvalue()))
    assert table.to_pylist() == held(reader, name)
    assert rows == table.num_rows > 0
    types = {field.name: str(field.type) for field in table.schema}
    if name == "stocks_stock":
        assert (types["price_time"], types["next_earnings_date"], types["is_listed"]) == (
            "timestamp[us, tz=UTC]",
            "date32[day]",
            "bool",
        )
        assert (types["current_price"], types["volume"], types["sector"]) == ("double", "int64", "string")


def test_an_empty_table_is_a_file_of_columns_alone(writer: Writer, reader: Engine) -> None:
    text, binary = io.StringIO(), io.BytesIO()
    assert write_csv(reader, stocks_daily_bar, text) == write_parquet(reader, stocks_daily_bar, binary) == 0
    assert text.getvalue().count("\n") == 1
    found = parquet.read_table(io.BytesIO(binary.getvalue()))
    assert found.column_names == stocks_daily_bar.columns.keys()


def test_a_table_larger_than_one_read_comes_whole(writer: Writer, reader: Engine) -> None:
    tickers = [f"T{number:05d}" for number in range(ROWS_A_READ + 10)]
    load_universe(writer, [Listing(ticker=ticker) for ticker in tickers])
    text, binary = io.StringIO(newline=""), io.BytesIO()
    write_csv(reader, stocks_stock, text)
    write_parquet(reader, stocks_stock, binary)
    found = [row["ticker"] for row in csv.DictReader(io.StringIO(text.getvalue(), newline=""))]
    assert found == ["A", "B", "C", *tickers]
    assert parquet.read_table(io.BytesIO(binary.getvalue()), columns=["ticker"])["ticker"].to_pylist() == found


def test_without_pyarrow_parquet_is_refused_in_one_line(
    writer: Writer, reader: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FixByHand, match=r"Parquet needs pyarrow, which is not installed; install it with `pip"):
        write_parquet(reader, stocks_stock, io.BytesIO())
