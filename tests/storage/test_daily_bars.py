from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, select

from storage.daily_bars import BarResult, DailyBar, write_daily_bars
from storage.schema import change_marker, stocks_daily_bar
from storage.writer import Writer

BAR = DailyBar(
    ticker="A",
    session_date=date(2026, 11, 23),
    open=10.0,
    high=12.0,
    low=9.0,
    close=11.0,
    adj_close=10.9,
    volume=1000,
    source="quote",
)


def bars_in(reader: Engine) -> list[dict[str, Any]]:
    ordered = select(stocks_daily_bar).order_by(stocks_daily_bar.c.ticker, stocks_daily_bar.c.session_date)
    with reader.connect() as connection:
        return [dict(row) for row in connection.execute(ordered).mappings()]


def test_a_bar_is_written_and_replaced_by_a_later_one(writer: Writer, reader: Engine) -> None:
    assert write_daily_bars(writer, [BAR]) == BarResult(written=1, refused=0)
    corrected = replace(BAR, close=10.5, adj_close=None, volume=None, source="chart")
    write_daily_bars(writer, [corrected])
    assert bars_in(reader) == [
        {
            "ticker": "A",
            "session_date": date(2026, 11, 23),
            "open": 10.0,
            "high": 12.0,
            "low": 9.0,
            "close": 10.5,
            "adj_close": None,
            "volume": None,
            "source": "chart",
        }
    ]


def test_the_last_of_two_bars_of_one_session_counts(writer: Writer, reader: Engine) -> None:
    assert write_daily_bars(writer, [BAR, replace(BAR, close=9.5)]).written == 1
    assert bars_in(reader)[0]["close"] == 9.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"open": math.nan},
        {"high": math.inf},
        {"close": -1.0},
        {"low": 0.0},
        {"low": 12.5, "high": 12.0},
        {"high": 10.5},
        {"low": 10.5},
        {"adj_close": math.nan},
        {"volume": -1},
        {"volume": 2**63},
        {"volume": "many"},
        {"close": None},
        {"close": "11"},
        {"session_date": "2026-11-23"},
        {"ticker": None},
    ],
)
def test_a_bar_that_cannot_be_is_refused_and_the_rest_written(writer: Writer, reader: Engine, wrong: Any) -> None:
    assert write_daily_bars(writer, [replace(BAR, **wrong), replace(BAR, ticker="B")]) == BarResult(
        written=1, refused=1
    )
    assert [row["ticker"] for row in bars_in(reader)] == ["B"]


def test_a_bar_that_never_moved_is_sound(writer: Writer) -> None:
    assert write_daily_bars(writer, [replace(BAR, open=5.0, high=5.0, low=5.0, close=5.0, volume=0)]).refused == 0


def test_many_bars_are_written_in_short_transactions(writer: Writer, reader: Engine) -> None:
    bars = [replace(BAR, ticker=f"T{number}") for number in range(2500)]
    assert write_daily_bars(writer, bars).written == 2500
    with reader.connect() as connection:
        seq = connection.execute(select(change_marker.c.seq).where(change_marker.c.source == "daily_bars")).scalar_one()
    assert seq == 4, "one for the universe, three for 1000 + 1000 + 500 bars"
