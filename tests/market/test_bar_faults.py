from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import bar_faults
from market.bar_faults import find_faults
from market.bars import DayBar

RECORDED = Path(__file__).parent.parent / "data" / "price_anomalies.jsonl.gz"
FIRST = date(2026, 1, 5)


@cache
def tables() -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]
    return {line["name"]: line for line in lines}


def dated(told: dict[str, float]) -> dict[date, float]:
    return {date.fromisoformat(on): value for on, value in told.items()}


@pytest.mark.parametrize("name", sorted(tables()))
def test_each_recorded_fault_is_found_and_no_sound_bar(name: str) -> None:
    table = tables()[name]
    bars = [
        DayBar(date.fromisoformat(on), opened, high, low, close, None, volume)
        for on, opened, high, low, close, volume, _ in table["bars"]
    ]
    wrong = {date.fromisoformat(row[0]) for row in table["bars"] if row[-1]}
    found = find_faults(bars, dated(table["splits"]), dated(table["dividends"]), reference=table["reference"])
    assert set(found) == wrong
    assert set(found.values()) <= {"hundredfold", "split", "mixed_units"}


def test_the_recorded_faults_are_of_each_kind() -> None:
    faulty = {name for name, table in tables().items() if any(row[-1] for row in table["bars"])}
    wrong = sum(row[-1] for table in tables().values() for row in table["bars"])
    assert (len(tables()), len(faulty), wrong) == (15, 9, 77)


def days(*closes: float) -> list[DayBar]:
    return [
        DayBar(FIRST + timedelta(days=index), close, close * 1.01, close * 0.99, close, None, 100)
        for index, close in enumerate(closes)
    ]


def found(*closes: float, splits: dict[int, float] | None = None, reference: float | None = None) -> dict[int, str]:
    dates = {FIRST + timedelta(days=index): ratio for index, ratio in (splits or {}).items()}
    faults = find_faults(days(*closes), dates, {}, reference=reference)
    return {(on - FIRST).days: rule for on, rule in faults.items()}


def test_a_halved_price_alone_is_no_fault() -> None:
    assert found(10.0, 10.2, 4.9, 5.0) == {}
    assert found(10.0, 10.2, 31.0, 30.0) == {}


def test_a_single_bar_in_cents_is_found() -> None:
    assert found(10.0, 1020.0, 10.1) == {1: "hundredfold"}


def test_the_past_before_a_split_that_was_not_applied_is_found() -> None:
    assert found(40.0, 41.0, 10.1, 10.0, splits={2: 4.0}) == {0: "split", 1: "split"}
    assert found(10.0, 10.2, 10.1, 10.0, splits={2: 4.0}) == {}


def test_without_that_split_it_is_not_known() -> None:
    assert found(40.0, 41.0, 10.1, 10.0) == {}


def test_the_newest_bars_are_judged_by_a_price_of_another_source() -> None:
    assert found(10.0, 10.1, 1010.0, reference=10.2) == {2: "hundredfold"}
    assert found(10.0, 10.1, 1010.0) == {0: "hundredfold", 1: "hundredfold"}


def test_a_special_dividend_of_half_the_price_explains_its_fall() -> None:
    bars = days(460.0, 461.0, 218.0, 215.0)
    on = bars[2].session_date
    assert find_faults(bars, {on: 0.47}, {on: 243.0}) == {}
    assert set(find_faults(bars, {on: 0.47}, {})) == {bars[0].session_date, bars[1].session_date}


@given(
    closes=st.lists(st.floats(min_value=1.0, max_value=150.0), min_size=1, max_size=12),
    reference=st.none() | st.floats(min_value=1.0, max_value=150.0),
    dividend=st.floats(min_value=0.0, max_value=20.0),
)
def test_a_glance_at_a_history_misses_no_fault(closes: list[float], reference: float | None, dividend: float) -> None:
    bars = [
        DayBar(FIRST + timedelta(days=day), close, close, close / 1.5, close, None, None)
        for day, close in enumerate(closes)
    ]
    paid = {FIRST: dividend}
    found = find_faults(bars, {}, paid, reference=reference)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bar_faults, "_is_narrow", lambda *_: False)
        assert find_faults(bars, {}, paid, reference=reference) == found


def test_nothing_is_found_in_nothing() -> None:
    assert find_faults([], {}, {}) == {}
