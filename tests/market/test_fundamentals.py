from __future__ import annotations

from dataclasses import fields

from market.fundamentals import FIELDS, Fundamentals, nothing_said
from storage.schema import stocks_stock


def test_each_field_has_its_column_in_the_table() -> None:
    assert set(FIELDS) < set(stocks_stock.columns.keys())
    assert {field.name for field in fields(Fundamentals)} == {"ticker", *FIELDS}


def test_an_answer_without_facts_says_nothing_of_its_ticker() -> None:
    said = nothing_said("AAPL")
    assert said.fundamentals.ticker == "AAPL"
    assert {getattr(said.fundamentals, name) for name in FIELDS} == {None}
    assert said.witness.price is None
