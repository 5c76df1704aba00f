from __future__ import annotations

import functools
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yahoo.chart import parse_chart
from yahoo.quote import BadAnswer

RECORDED = Path(__file__).parent.parent / "data" / "yahoo_answers.jsonl"


@functools.cache
def line() -> str:
    """Return AAPL's three days of September 2020, as Yahoo answered in February 2025."""
    lines = (json.loads(line) for line in RECORDED.read_text().splitlines())
    daily = (each for each in lines if each["kind"] == "chart" and ["interval", "1d"] in each["request"]["query"])
    return json.dumps(next(daily)["body"])


def recorded() -> dict[str, Any]:
    return dict(json.loads(line()))


def test_a_recorded_answer() -> None:
    chart = parse_chart(json.dumps(recorded()).encode())
    assert chart is not None
    assert (chart.symbol, chart.price) == ("AAPL", 244.87)
    assert chart.price_time == datetime(2025, 2, 19, 21, 0, 1, tzinfo=UTC)
    assert list(chart.closes) == [1598880600, 1598967000], "the third is the last: it may still move"
    assert chart.closes[1598880600] == pytest.approx(129.04, abs=0.001)


def test_a_ticker_that_is_unknown_has_no_chart() -> None:
    assert parse_chart(b'{"chart":{"result":null,"error":{"code":"Not Found"}}}') is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"chart":{"result":[{}]}}', b'{"chart":{"result":[{"meta":{"symbol":1}}]}}'],
)
def test_what_is_no_chart_is_said(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="not a v8 chart document"):
        parse_chart(body)


@pytest.mark.parametrize("price", [0, -1, None, "1.5", True])
def test_a_price_that_cannot_be_is_none(price: object) -> None:
    body = recorded()
    body["chart"]["result"][0]["meta"]["regularMarketPrice"] = price
    chart = parse_chart(json.dumps(body).encode())
    assert chart is not None and chart.price is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["meta", "symbol", "quote"]), inner),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["meta", "timestamp", "indicators"]))
def test_no_document_breaks_it(value: object, key: str) -> None:
    body = recorded()
    body["chart"]["result"][0][key] = value
    with suppress(BadAnswer):
        parse_chart(json.dumps(body).encode())
