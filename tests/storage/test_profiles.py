from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from market.fundamentals import FIELDS, Decoded, Fundamentals, Witness, nothing_said
from market.quotes import Quote
from storage.profiles import FundamentalsResult, write_fundamentals
from storage.quotes import write_quotes
from storage.reader import read_quotes
from storage.refusals import read_refusals
from storage.schema import daily_stale_field, truth_witness
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, NOON, OPENS_AT

SESSION = date(2026, 11, 23)
FULL = Fundamentals(
    ticker="A",
    sector="Technology",
    industry="Consumer Electronics",
    country="United States",
    employees=17_900,
    beta=1.1,
    one_year_target=170.0,
    target_low=120.0,
    target_high=210.0,
    recommendation="buy",
    analyst_count=17,
    dividend_rate=0.99,
    ex_dividend_date=date(2026, 12, 30),
    payout_ratio=0.2,
    financial_currency="USD",
    revenue_ttm=6.5e9,
    revenue_growth=0.21,
    earnings_growth=0.34,
    ebitda=1.8e9,
    profit_margin=0.19,
    gross_margin=0.38,
    operating_margin=0.25,
    return_on_equity=0.82,
    return_on_assets=0.13,
    free_cash_flow=1.1e9,
    operating_cash_flow=1.4e9,
    total_cash=7.6e9,
    total_debt=1.1e10,
    debt_to_equity=1.69,
    current_ratio=1.16,
    float_shares=2.8e8,
    shares_short=9.9e6,
    short_percent_of_float=0.0059,
    held_by_insiders=0.00065,
    held_by_institutions=0.5966,
    last_split_date=date(2020, 8, 31),
    last_split_ratio=4.0,
)
QUOTE = Quote(ticker="A", current_price=150.0, previous_close=149.0, price_time=NOON)


def write(writer: Writer, *said: Fundamentals | Decoded, days: int = 0, keep_days: int = 30) -> FundamentalsResult:
    answers = [Decoded(fundamentals=each) if isinstance(each, Fundamentals) else each for each in said]
    return write_fundamentals(
        writer,
        answers,
        at=NOON + timedelta(days=days),
        session_date=SESSION + timedelta(days=days),
        drop_after_days=keep_days,
    )


def row_of(reader: Engine) -> dict[str, Any]:
    rows, _ = read_quotes(reader, ["A"], at=NOON)
    return rows[0]


def stale(reader: Engine) -> dict[str, date]:
    with reader.connect() as connection:
        found = connection.execute(select(daily_stale_field.c.field, daily_stale_field.c.last_seen))
        return {field: last_seen for field, last_seen in found}


def test_every_field_reaches_its_column(writer: Writer, reader: Engine) -> None:
    result = write(writer, FULL, Fundamentals(ticker="ZZZ"))
    assert (result.written, result.unknown) == (1, 1)
    row = row_of(reader)
    assert {name: row[name] for name in FIELDS} == {name: getattr(FULL, name) for name in FIELDS}
    assert None not in {row[name] for name in FIELDS}
    assert (row["daily_updated_at"], row["last_updated"], row["metrics_updated_at"]) == (NOON, NOON, None)


def test_an_unchanged_row_is_confirmed_and_keeps_its_number(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    before = row_of(reader)
    assert write(writer, FULL, days=1).written == 1
    row = row_of(reader)
    assert row["change_seq"] == before["change_seq"]
    assert row["daily_updated_at"] == NOON + timedelta(days=1)


def test_a_field_that_is_no_longer_given_keeps_its_value_with_its_age_until_it_is_dropped(
    writer: Writer, reader: Engine
) -> None:
    write(writer, FULL)
    write(writer, replace(FULL, beta=None), days=3)
    assert (row_of(reader)["beta"], stale(reader)) == (1.1, {"beta": SESSION})
    write(writer, replace(FULL, beta=None), days=30)
    assert (row_of(reader)["beta"], stale(reader)) == (1.1, {"beta": SESSION})
    assert write(writer, replace(FULL, beta=None), days=31).dropped == 1
    assert (row_of(reader)["beta"], stale(reader)) == (None, {})


def test_a_field_that_is_given_again_has_no_age(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    write(writer, replace(FULL, beta=None), days=3)
    write(writer, replace(FULL, beta=1.3), days=4)
    assert (row_of(reader)["beta"], stale(reader)) == (1.3, {})


def test_an_answer_without_facts_ages_them_all(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    write(writer, nothing_said("A"), days=2)
    assert set(stale(reader)) == set(FIELDS) - {"sector", "industry"}
    write(writer, nothing_said("A"), days=40)
    assert {name for name in FIELDS if row_of(reader)[name] is not None} == {"sector", "industry"}


def test_an_older_answer_changes_nothing(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    assert write(writer, replace(FULL, beta=9.0), days=-1).older == 1
    assert row_of(reader)["beta"] == 1.1


def test_an_impossible_value_counts_as_not_said(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    word: Any = "high"
    assert write(writer, replace(FULL, beta=word, ebitda=math.nan), Fundamentals(ticker="B\0"), days=1).written == 1
    row = row_of(reader)
    assert (row["beta"], row["ebitda"], set(stale(reader))) == (1.1, 1.8e9, {"beta", "ebitda"})


def test_what_is_refused_is_counted_by_rule_and_ages(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    refused = Decoded(
        fundamentals=replace(FULL, float_shares=None, employees=1_790_000), refused=(("float_shares", "unit"),)
    )
    result = write(writer, refused, days=1)
    assert set(result.refused) == {("A", "float_shares", "unit"), ("A", "employees", "past")}
    assert (row_of(reader)["employees"], set(stale(reader))) == (17_900, {"float_shares", "employees"})
    found = read_refusals(reader, since=SESSION)
    assert {(each.endpoint, each.rule, each.refused, each.example) for each in found} == {
        ("summary", "unit", 1, "A float_shares"),
        ("summary", "past", 1, "A employees"),
    }


@pytest.mark.parametrize(("price", "close", "is_taken"), [(12.0, 11.9, False), (12.0, 149.0, True), (151.0, 3.0, True)])
def test_an_answer_with_both_prices_of_another_ticker_is_refused_whole(
    writer: Writer, reader: Engine, price: float, close: float, is_taken: bool
) -> None:
    write_quotes(writer, [QUOTE], at=NOON, session_opens_at=OPENS_AT, session_closes_at=CLOSES_AT)
    told = Decoded(fundamentals=FULL, witness=Witness(price=price, previous_close=close))
    result = write(writer, told)
    assert (result.contradicting == (), row_of(reader)["beta"] is not None) == (is_taken, is_taken)
    assert ("A", "answer", "other_endpoint") in result.refused or is_taken


def test_what_an_answer_says_of_the_days_prices_is_kept_for_the_audit(writer: Writer, reader: Engine) -> None:
    told = Witness(price=150.0, price_time=CLOSES_AT, open=148.0, high=151.0, low=147.5, volume=1_000)
    write(writer, Decoded(fundamentals=FULL, witness=told))
    with reader.connect() as connection:
        row = connection.execute(select(truth_witness)).mappings().one()
    assert dict(row) == {
        "ticker": "A",
        "session": SESSION,
        "open": 148.0,
        "high": 151.0,
        "low": 147.5,
        "close": 150.0,
        "volume": 1_000,
        "price_time": CLOSES_AT,
        "at": NOON,
    }
