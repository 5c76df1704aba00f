from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from market.fundamental_rules import past_refusals, refusals, without
from market.fundamentals import Fundamentals, Witness

TODAY = date(2026, 11, 23)


def refused(witness: Witness | None = None, **facts: Any) -> dict[str, str]:
    return dict(refusals(Fundamentals(ticker="A", **facts), witness or Witness(), today=TODAY))


def past(held: dict[str, Any], **facts: Any) -> dict[str, str]:
    return dict(past_refusals(Fundamentals(ticker="A", **facts), held, today=TODAY))


def test_sound_facts_pass() -> None:
    sound = refused(
        Witness(
            price=131.96, dividend_yield=0.0062, shares_outstanding=1.68e10, net_income=6.4e10, module_margin=0.217
        ),
        beta=1.28,
        one_year_target=149.9,
        target_low=83.0,
        target_high=175.0,
        dividend_rate=0.82,
        ex_dividend_date=date(2026, 11, 7),
        revenue_ttm=2.94e11,
        profit_margin=0.217,
        float_shares=1.677e10,
        held_by_institutions=0.6,
        short_percent_of_float=0.0059,
        employees=147_000,
    )
    assert sound == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("employees", 0),
        ("beta", 1e6),
        ("one_year_target", -3.0),
        ("held_by_institutions", 59.7),  # percent
        ("short_percent_of_float", 21.0),
        ("gross_margin", 38.0),
        ("revenue_ttm", 1e19),
        ("last_split_ratio", 0.0),
        ("ex_dividend_date", date(1902, 1, 1)),
        ("last_split_date", date(2031, 1, 1)),
    ],
)
def test_what_cannot_be_is_refused_by_its_range(name: str, value: Any) -> None:
    assert refused(**{name: value}) == {name: "range"}


def test_targets_in_another_unit_than_the_price_are_refused() -> None:
    told = refused(Witness(price=28.0), one_year_target=2_985.0, target_low=20.0, target_high=40.0)
    assert told == {"one_year_target": "unit"}


def test_a_low_target_above_the_high_one_refuses_both() -> None:
    assert refused(target_low=50.0, target_high=40.0) == {"target_low": "order", "target_high": "order"}


def test_a_dividend_rate_that_the_yield_contradicts_is_refused() -> None:
    yields = Witness(price=100.0, dividend_yield=0.41)  # percent where a fraction belongs
    assert refused(yields, dividend_rate=0.41) == {"dividend_rate": "unit"}
    assert refused(Witness(price=100.0, dividend_yield=0.0041), dividend_rate=0.41) == {}


def test_margins_of_zero_are_not_known_where_no_revenue_is() -> None:
    # BABA on 2021-02-03: operatingMargins 0.0, no totalRevenue, grossMargins 0.43778.
    assert refused(operating_margin=0.0, gross_margin=0.43778) == {"operating_margin": "no_revenue"}
    assert refused(operating_margin=0.0, revenue_ttm=5e9) == {}


def test_a_margin_in_percent_is_found_by_the_income() -> None:
    income = Witness(net_income=6.39e10)
    assert refused(income, revenue_ttm=2.94e11, profit_margin=21.7) == {"profit_margin": "unit"}
    assert refused(income, revenue_ttm=2.94e11, profit_margin=-0.217) == {}
    modules = Witness(module_margin=0.217)
    assert refused(modules, revenue_ttm=2.94e11, profit_margin=21.7) == {"profit_margin": "other_module"}


def test_a_float_counted_in_other_shares_than_those_outstanding_is_refused() -> None:
    # BABA: 16,903,058,280 ordinary shares in free float, 2,542,589,952 ADRs outstanding.
    outstanding = Witness(shares_outstanding=2_542_589_952.0)
    assert refused(outstanding, float_shares=16_903_058_280.0) == {"float_shares": "unit"}
    assert refused(outstanding, float_shares=2_600_000_000.0) == {}


def test_a_quantity_a_hundred_times_what_the_table_holds_is_refused() -> None:
    held = {"one_year_target": 150.0, "employees": 147_000, "revenue_ttm": 2.9e11, "beta": 0.01}
    found = past(held, one_year_target=15_000.0, employees=150_000, revenue_ttm=2.9e9, beta=1.2)
    assert found == {"one_year_target": "past", "revenue_ttm": "past"}


def test_a_split_explains_numbers_of_a_share_but_not_of_the_company() -> None:
    held = {"float_shares": 1e9, "employees": 100}
    found = past(held, float_shares=1e7, employees=10_000, last_split_date=date(2026, 11, 20), last_split_ratio=0.01)
    assert found == {"employees": "past"}
    assert past(held, float_shares=1e7, last_split_date=date(2020, 1, 2)) == {"float_shares": "past"}


def test_a_refused_field_counts_as_not_said() -> None:
    facts = Fundamentals(ticker="A", beta=1.0, employees=3)
    assert without(facts, {"beta"}) == Fundamentals(ticker="A", employees=3)
