from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Engine

from storage.profiles import Profile, write_profiles
from storage.reader import read_quotes
from storage.writer import Writer
from tests.fix_storage import NOON

FULL = Profile(
    ticker="A",
    beta=1.1,
    one_year_target=170.0,
    recommendation="buy",
    analyst_count=17,
    dividend_rate=0.99,
    ex_dividend_date=date(2026, 12, 30),
    profit_margin=0.19,
    revenue_ttm=6.5e9,
    ebitda=1.8e9,
    free_cash_flow=1.1e9,
    float_shares=2.8e8,
    employees=17_900,
)


def row_of(reader: Engine) -> dict[str, Any]:
    rows, _ = read_quotes(reader, ["A"], at=NOON)
    return rows[0]


def test_every_field_of_a_profile_reaches_its_column(writer: Writer, reader: Engine) -> None:
    assert write_profiles(writer, [FULL, Profile(ticker="ZZZ")], at=NOON) == 1
    row = row_of(reader)
    assert {name: row[name] for name in Profile.__slots__} == {n: getattr(FULL, n) for n in Profile.__slots__}
    assert (row["daily_updated_at"], row["last_updated"], row["metrics_updated_at"]) == (NOON, NOON, None)


def test_what_a_profile_leaves_out_or_says_impossibly_keeps_its_value(writer: Writer, reader: Engine) -> None:
    write_profiles(writer, [FULL], at=NOON)
    write_profiles(writer, [Profile(ticker="A", beta=math.nan, ebitda=2.0e9)], at=NOON + timedelta(seconds=1))
    row = row_of(reader)
    assert (row["beta"], row["ebitda"], row["recommendation"]) == (1.1, 2.0e9, "buy")


def test_an_older_profile_changes_nothing(writer: Writer, reader: Engine) -> None:
    write_profiles(writer, [FULL], at=NOON)
    assert write_profiles(writer, [Profile(ticker="A", beta=9.0)], at=NOON - timedelta(seconds=1)) == 0
    assert row_of(reader)["beta"] == 1.1


def test_a_value_of_a_wrong_type_counts_as_not_said(writer: Writer, reader: Engine) -> None:
    write_profiles(writer, [FULL], at=NOON)
    word: Any = "high"
    profiles = [Profile(ticker="A", beta=word, employees=1), Profile(ticker="B\0")]
    assert write_profiles(writer, profiles, at=NOON) == 1
    assert (row_of(reader)["beta"], row_of(reader)["employees"]) == (1.1, 1)
