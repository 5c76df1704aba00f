from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.trouble.catalogue import from_text
from simulator.trouble.spoiling import spoil

QUOTES = {
    "quoteResponse": {
        "result": [
            {"symbol": "A", "regularMarketPrice": 10, "regularMarketTime": 1700000000, "dividendYield": 0.5},
            {"symbol": "B", "regularMarketPrice": 20.5, "priceHint": 2, "tradeable": False},
            {"symbol": "C", "regularMarketPrice": 30.25, "dayRange": "29 - 31"},
        ],
        "error": None,
    }
}
CHART = {
    "chart": {"result": [{"meta": {"symbol": "A"}, "timestamp": [1, 2], "indicators": {"close": [1.5, None, 2.5]}}]}
}
SUMMARY = {"quoteSummary": {"result": [{"price": {"symbol": "A", "regularMarketPrice": {"raw": 8.0, "fmt": "8.00"}}}]}}


def spoiled(document: object, text: str) -> Any:
    return json.loads(spoil(json.dumps(document).encode(), from_text(text)))


def rows(document: Any) -> list[dict[str, Any]]:
    return list(document["quoteResponse"]["result"])


def test_tickers_are_exchanged_round_and_nothing_else() -> None:
    found = rows(spoiled(QUOTES, "wrong_ticker"))

    assert [(row["symbol"], row["regularMarketPrice"]) for row in found] == [("B", 10), ("C", 20.5), ("A", 30.25)]


def test_one_ticker_alone_becomes_the_test_ticker() -> None:
    assert spoiled(CHART, "wrong_ticker")["chart"]["result"][0]["meta"]["symbol"] == "ZVZZT"


def test_missing_tickers_are_every_second_or_the_named() -> None:
    assert [row["symbol"] for row in rows(spoiled(QUOTES, "missing_tickers"))] == ["A", "C"]
    assert [row["symbol"] for row in rows(spoiled(QUOTES, "missing_tickers,symbols=A+C"))] == ["B"]


def test_rows_of_a_screener_go_missing_too() -> None:
    page = {"finance": {"result": [{"total": 2, "quotes": [{"symbol": "A"}, {"symbol": "B"}]}]}}
    found = spoiled(page, "missing_tickers,symbols=A")["finance"]["result"]
    assert found == [{"total": 2, "quotes": [{"symbol": "B"}]}]


def test_a_unit_changes_under_one_key_only() -> None:
    found = rows(spoiled(QUOTES, "unit_change"))

    assert found[0] == {**rows(QUOTES)[0], "dividendYield": 0.005}
    assert found[1:] == rows(QUOTES)[1:]


def test_all_amounts_are_tampered_with_and_times_and_flags_are_not() -> None:
    found = rows(spoiled(QUOTES, "tamper_all,factor=2"))

    assert found[0] == {"symbol": "A", "regularMarketPrice": 20, "regularMarketTime": 1700000000, "dividendYield": 1.0}
    assert found[1] == {"symbol": "B", "regularMarketPrice": 41.0, "priceHint": 2, "tradeable": False}


def test_raw_numbers_and_lists_are_tampered_with_too() -> None:
    price = spoiled(SUMMARY, "tamper_all,factor=2")["quoteSummary"]["result"][0]["price"]["regularMarketPrice"]
    chart = spoiled(CHART, "tamper_all,factor=2")["chart"]["result"][0]

    assert price == {"raw": 16.0, "fmt": "8.00"}
    assert (chart["indicators"]["close"], chart["timestamp"]) == ([3.0, None, 5.0], [1, 2])


@pytest.mark.parametrize("document", [QUOTES, CHART, SUMMARY])
def test_one_price_is_tampered_with(document: object) -> None:
    true = json.dumps(document)
    wrong = json.dumps(spoiled(document, "tamper_one,factor=3"))
    places = [(a, b) for a, b in zip(true.split(), wrong.split(), strict=True) if a != b]

    assert len(places) == 1
    before, after = (float(text.strip("{}[],")) for text in places[0])
    assert after == 3 * before


@pytest.mark.parametrize(
    ("what", "key", "expected"),
    [
        ("times", "timestamp", [1, None, 3]),
        ("quotes", "quote", [{}]),
        ("adjclose", "adjclose", None),
        ("cents", "quote", [{name: [150.0, 1.75, None] for name in ("open", "high", "low", "close")}]),
        ("modules", "timestamp", [1, 2, 3]),
    ],
)
def test_a_chart_has_the_hole_that_was_asked_for(what: str, key: str, expected: Any) -> None:
    prices = {name: [1.5, 1.75, None] for name in ("open", "high", "low", "close")}
    indicators = {"quote": [prices], "adjclose": [{"adjclose": [1.5, 1.75, None]}]}
    chart = {"chart": {"result": [{"timestamp": [1, 2, 3], "indicators": indicators}]}}
    found = spoiled(chart, f"hollow,what={what}")["chart"]["result"][0]
    assert (found if key == "timestamp" else found["indicators"]).get(key) == expected


def test_hollow_modules_are_there_and_empty() -> None:
    assert spoiled(SUMMARY, "hollow")["quoteSummary"]["result"] == [{"price": {}}]


def test_a_truncated_body_is_cut_at_its_byte() -> None:
    assert spoil(b'{"a": 1}', from_text("truncate,at_bytes=4")) == b'{"a"'


def test_what_is_no_json_stays() -> None:
    assert spoil(b"no json", from_text("tamper_all")) == b"no json"


@pytest.mark.parametrize("document", [None, [], {}, 5, "text", {"result": []}, {"quoteResponse": {"result": None}}])
def test_documents_without_anything_to_spoil_survive(document: object) -> None:
    for name in ("wrong_ticker", "missing_tickers", "hollow", "unit_change", "tamper_one"):
        assert spoiled(document, name) == document
