from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from market.bars import DayBar
from market.truth import MOST_OUTLIERS, DayNumbers, Held
from scanners.daily.verdicts import by_chart, by_witness, chosen, in_words, verdict_of, without_chart
from storage.audits import AuditRow, Finding
from yahoo.chart_history import History

TODAY = date(2026, 11, 23)
DAY = DayNumbers(open=10.0, high=10.6, low=9.9, close=10.5, volume=2_000_000)
HELD = Held(ticker="A", bar=DAY, row=DAY, witness=DAY, traded=True)
TOLD = DayBar(TODAY, 10.0, 10.6, 9.9, 10.5, 10.5, 2_000_000)
BEFORE = DayBar(date(2026, 11, 20), 10.0, 10.6, 9.9, 10.2, 10.2, 1_000_000)


def chart(*bars: DayBar, splits: dict[date, float] | None = None) -> History:
    return History(symbol="A", bars=bars, splits=splits or {}, dividends={}, faults=Counter())


def row(**counts: int) -> AuditRow:
    given = dict.fromkeys(
        ("asked", "exact", "differs", "not_comparable", "sampled", "outliers", "requests", "total"), 0
    )
    named: dict[str, Any] = given | counts
    return AuditRow(session=TODAY, at=datetime(2026, 11, 23, 23, 0, tzinfo=UTC), **named)


def test_the_worst_outliers_are_asked_first_and_then_a_sample() -> None:
    many = [replace(HELD, ticker=f"T{number:03}") for number in range(200)]
    odd = [
        replace(HELD, ticker="HIGH", witness=None, bar=replace(DAY, high=99.0), row=None),
        replace(HELD, ticker="WITNESS", bar=replace(DAY, close=10.4)),
        replace(HELD, ticker="GONE", bar=None),
    ]
    rules = chosen([*many, *odd], TODAY)
    assert list(rules.items())[:3] == [("GONE", "no_bar"), ("WITNESS", "witness"), ("HIGH", "high")]
    assert Counter(rules.values())["sample"] in (98, 99, 100)  # an outlier may be in the sample as well


def test_no_more_outliers_are_asked_than_a_night_can_bear() -> None:
    odd = [replace(HELD, ticker=f"T{number:04}", bar=replace(DAY, close=10.4)) for number in range(MOST_OUTLIERS + 200)]
    rules = chosen(odd, TODAY)
    assert Counter(rules.values())["witness"] == MOST_OUTLIERS
    left = [each for each in odd if each.ticker not in rules]
    assert {finding.reason for each in left for finding in by_witness(each)} == {"too_many_outliers"}


def test_a_ticker_without_a_trade_is_not_sampled() -> None:
    assert chosen([Held(ticker="A", bar=None, row=None)], TODAY) == {}


def test_without_a_chart_a_second_endpoint_decides() -> None:
    assert by_witness(HELD) == []
    assert verdict_of([]) == "exact"
    for held, reason in (
        (replace(HELD, witness=None, traded=None), "no_second_source"),
        (replace(HELD, witness=None, traded=None, told_later=True), "asked_after_the_next_open"),
        (Held(ticker="A", bar=None, row=None, traded=False), "no_trade"),
    ):
        assert by_witness(held) == [Finding(ticker="A", verdict="not_comparable", reason=reason)]


def test_a_chart_that_says_the_same_is_exact() -> None:
    assert by_chart(HELD, chart(BEFORE, TOLD), TODAY, "sample") == [Finding(ticker="A", verdict="exact", rule="sample")]


def test_each_number_that_differs_from_the_chart_is_found() -> None:
    found = by_chart(replace(HELD, witness=None), chart(TOLD._replace(close=10.55, volume=9_000_000)), TODAY, "close")
    assert [(each.field, each.held, each.told) for each in found] == [
        ("bar_close", 10.5, 10.55),
        ("bar_volume", 2_000_000, 9_000_000),
        ("current_price", 10.5, 10.55),
        ("volume", 2_000_000, 9_000_000),
    ]
    assert {each.verdict for each in found} == {"differs"}


def test_it_is_said_when_the_second_endpoint_stands_by_the_table() -> None:
    found = by_chart(HELD, chart(TOLD._replace(close=10.55)), TODAY, "sample")
    assert {each.reason for each in found} == {"summary_says_as_table"}


def test_a_bar_that_only_the_chart_has_differs() -> None:
    (found,) = by_chart(replace(HELD, bar=None), chart(TOLD), TODAY, "no_bar")
    assert (found.verdict, found.field, found.held, found.told) == ("differs", "bar_close", None, 10.5)


def test_a_chart_of_other_shares_says_nothing() -> None:
    split = chart(TOLD._replace(close=1.05), splits={date(2026, 11, 24): 10.0})
    assert by_chart(replace(HELD, witness=None), split, TODAY, "sample") == [
        Finding(ticker="A", verdict="not_comparable", rule="sample", reason="split_since")
    ]


def test_where_the_chart_is_silent_what_else_was_said_decides() -> None:
    silent = replace(HELD, witness=None)
    assert without_chart(HELD, "sample", "not_answered").verdict == "exact"
    assert without_chart(silent, "sample", "not_answered").reason == "not_answered"
    (found,) = by_chart(silent, chart(BEFORE), TODAY, "sample")
    assert (found.verdict, found.reason) == ("not_comparable", "no_bar_in_chart")


def test_the_words_say_how_many_which_and_why_not() -> None:
    wrong = [
        Finding(ticker=f"T{number}", verdict="differs", field="bar_close", held=226.4, told=226.51)
        for number in range(7)
    ]
    unknown = [
        Finding(ticker="X", verdict="not_comparable", reason=reason) for reason in ("no_trade", "no_trade", "foreign")
    ]
    said = in_words(row(exact=8_779, differs=3, not_comparable=3), [*wrong, *unknown])
    assert said == (
        "8,779 of 8,782 exact; 3 differ: T0 bar_close 226.4 (chart 226.51), T1 bar_close 226.4 (chart 226.51), "
        "T2 bar_close 226.4 (chart 226.51), T3 bar_close 226.4 (chart 226.51), T4 bar_close 226.4 (chart 226.51), ...; "
        "3 not comparable (2 no trade, 1 foreign)"
    )
    assert in_words(row(exact=8_782), []) == "8,782 of 8,782 exact"
