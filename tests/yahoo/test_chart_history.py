from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import DayBar
from yahoo.chart_history import History, parse_history
from yahoo.quote import BadAnswer, Refused

RECORDED = Path(__file__).parent.parent / "data" / "charts.jsonl.gz"
META = {"symbol": "AAPL", "currency": "USD", "dataGranularity": "1d", "exchangeTimezoneName": "America/New_York"}
MONDAY_S, TUESDAY_S = 1763994600, 1764081000
"""09:30 in New York on 2025-11-24 and 25."""


@cache
def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]


def read(record: dict[str, Any]) -> History | str:
    try:
        return parse_history(orjson.dumps(record["body"]), asked=record["asked"])
    except Refused as refused:
        return refused.reason


def column(*values: Any) -> dict[str, list[Any]]:
    return {name: list(values) for name in ("open", "high", "low", "close")} | {"volume": [100] * len(values)}


def chart(
    quote: Any = None, *, times: Any = (MONDAY_S, TUESDAY_S), meta: dict[str, Any] | None = None, **more: Any
) -> bytes:
    indicators = more.pop("indicators", {"quote": [column(10.5, 11.0) if quote is None else quote]})
    result = {"meta": META | (meta or {}), "timestamp": times and list(times), "indicators": indicators} | more
    return orjson.dumps({"chart": {"result": [result], "error": None}})


def history(*given: Any, **more: Any) -> History:
    return parse_history(chart(*given, **more), asked="AAPL")


@given(price=st.floats(min_value=2.0**-20, max_value=2.0**40, width=32))
def test_a_price_is_the_shortest_decimal_that_is_the_same_32_bit_float(price: float) -> None:
    """By the slow way: the fewest digits that are told apart from both neighbours."""
    (bar,) = history(column(price), times=(MONDAY_S,)).bars
    digits = (float(f"{price:.{count}g}") for count in range(1, 10))
    assert bar.close == next(short for short in digits if np.float32(short) == np.float32(price))


@pytest.mark.parametrize("told", ["10.5", True, [10.5], {}, 0.0, -10.5, 1e39])
def test_what_is_no_price_leaves_its_bar_out_and_the_others_as_they_are(told: Any) -> None:
    found = history(column(10.5, told))
    assert [bar.close for bar in found.bars] == [10.5]
    assert found.faults["incomplete"] == 1


def test_every_recorded_answer_ends_in_bars_or_a_named_reason() -> None:
    outcomes = Counter(told if isinstance(told := read(each), str) else "bars" for each in recorded())
    assert outcomes == {
        "bars": 59,
        "currency": 21,
        "granularity": 6,
        "delisted": 1,
        "no_data": 1,
        "no_quotes": 1,
    }
    assert sum(outcomes.values()) == 89


def test_each_bar_is_a_recorded_one() -> None:
    compared = 0
    for record in recorded():
        if not isinstance(told := read(record), History):
            continue
        quote = record["body"]["chart"]["result"][0]["indicators"]["quote"][0]
        columns = [quote[name] for name in ("open", "high", "low", "close")]
        rows = [row for row in zip(*columns, strict=True) if None not in row]
        for bar in told.bars:
            assert any(bar[1:5] == pytest.approx(row, rel=1e-7) for row in rows)
        compared += len(told.bars)
    assert compared == 273


def test_a_price_has_the_digits_that_were_sent() -> None:
    found = [told for each in recorded() if isinstance(told := read(each), History) and told.symbol == "AAPL"]
    told = next(each for each in found if each.splits)
    # 74.05999755859375 and so on: 32-bit floats.
    assert told.bars[0] == DayBar(date(2020, 1, 2), 74.06, 75.15, 73.7975, 75.0875, 73.98847, 135_480_400)
    assert told.splits == {date(2020, 8, 31): 4.0}
    assert told.dividends[date(2020, 2, 7)] == 0.1925


def test_a_bar_is_of_the_day_on_the_wall_of_its_exchange() -> None:
    assert [bar.session_date for bar in history().bars] == [date(2025, 11, 24), date(2025, 11, 25)]


def test_a_time_that_is_null_costs_its_bar_alone() -> None:
    told = history(times=(None, TUESDAY_S))
    assert [bar.close for bar in told.bars] == [11.0]
    assert told.faults == {"no_time": 1, "no_adj_close": 1}


def test_a_day_without_a_trade_has_no_bar() -> None:
    told = history(column(None, 11.0))
    assert (len(told.bars), told.faults["no_trade"]) == (1, 1)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"high": [None, 11.0]}, "incomplete"),
        ({"low": [0.0, 11.0]}, "incomplete"),
        ({"close": [-3.0, 11.0]}, "incomplete"),
        ({"open": ["10.5", 11.0]}, "incomplete"),
        ({"high": [10.4, 11.0]}, "order"),
        ({"low": [10.6, 11.0]}, "order"),
    ],
)
def test_a_bar_that_contradicts_itself_is_left_out(changed: dict[str, Any], rule: str) -> None:
    told = history(column(10.5, 11.0) | changed)
    assert [bar.close for bar in told.bars] == [11.0]
    assert told.faults[rule] == 1


def test_adjusted_closes_may_be_missing() -> None:
    quote = column(10.5, 11.0)
    missing: list[Any] = [[], [{}], [{"adjclose": []}], None]
    for adjusted in missing:
        told = history(indicators={"quote": [quote], "adjclose": adjusted})
        assert [bar.adj_close for bar in told.bars] == [None, None]
        assert told.faults == {"no_adj_close": 2}
    told = history(indicators={"quote": [quote], "adjclose": [{"adjclose": [10.1, 10.9]}]})
    assert ([bar.adj_close for bar in told.bars], told.faults) == ([10.1, 10.9], {})


def test_of_two_bars_of_one_day_the_later_counts() -> None:
    told = history(times=(MONDAY_S, MONDAY_S + 3600))
    assert [bar.close for bar in told.bars] == [11.0]


def test_a_chart_whose_quotes_are_left_out_brings_no_bar() -> None:
    told = history({})
    assert (told.bars, told.faults) == ((), {"no_quotes": 2})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (chart(meta={"symbol": "MSFT"}), "foreign"),
        (chart(meta={"currency": "GBp"}), "currency"),
        (chart(meta={"dataGranularity": "3mo"}), "granularity"),
        (chart({}, times=None), "no_quotes"),
        (b'{"chart": {"result": [], "error": null}}', "no_quotes"),
        (
            b'{"chart":{"result":null,"error":{"code":"Not Found",'
            b'"description":"No data found, symbol may be delisted"}}}',
            "delisted",
        ),
    ],
)
def test_an_answer_without_bars_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_history(body, asked="AAPL")
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"null",
        b'{"chart": 3}',
        b'{"chart": {"result": [{"meta": 3}], "error": null}}',
        b'{"chart":{"result":null,"error":{"code":"Internal","description":"oops"}}}',
        chart(times=["soon", [1]]),
        chart(meta={"exchangeTimezoneName": "Mars/Olympus"}),
        chart(indicators={"quote": 5}),
        chart(events={"splits": 7}),
        chart()[:-20],
    ],
)
def test_what_is_no_chart_is_named_bad(body: bytes) -> None:
    with pytest.raises(BadAnswer) as bad:
        parse_history(body, asked="AAPL")
    assert not isinstance(bad.value, Refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["close", "date", "quote"]), inner),
    max_leaves=6,
)
KEYS = ["timestamp", "indicators", "events", "meta"]
COLUMNS = ["open", "high", "low", "close", "volume"]
NUMBERS = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(), max_size=4)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.dictionaries(st.sampled_from(COLUMNS), NUMBERS), NUMBERS)
def test_no_content_breaks_the_reader(changed: dict[str, Any], columns: dict[str, Any], times: list[Any]) -> None:
    sound = {"meta": META, "timestamp": times, "indicators": {"quote": [columns]}}
    for result in (sound, sound | changed):
        try:
            told = parse_history(json.dumps({"chart": {"result": [result], "error": None}}).encode(), asked="AAPL")
        except BadAnswer:
            continue
        assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in told.bars)
