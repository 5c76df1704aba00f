from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from api.problems import Problem
from api.scans import LC_FAMILY, FlagQuery, ScanBody, engine_request, flag
from screener.jobs.request import Request
from screener.patterns import lc


def asked(query: dict[str, Any] | None = None, *, lc_family: bool = False, **body: Any) -> Request:
    return engine_request(ScanBody(**body), FlagQuery(**(query or {})), lc_family=lc_family)


def test_the_request_of_the_scan_with_progress() -> None:
    """The older client's own body; the sector is GICS's name."""
    found = asked(max_symbols=100, min_tech_rating=50.0, sectors=["Information Technology"], async_mode=True)
    assert found == Request(max_symbols=100, min_tech_rating=50.0, sectors=["Information Technology"])


def test_the_request_of_the_lc_scan_looks_for_the_family_in_each_session_of_the_range() -> None:
    filters = {"min_volume": 10_000_000, "min_dollar_volume": 500_000_000}
    found = asked(start_date="2024-01-01", end_date="2024-01-31", filters=filters, lc_family=True)
    assert (found.since, found.until) == (date(2024, 1, 1), date(2024, 1, 31))
    assert (found.min_volume, found.min_dollar_volume) == (10_000_000, 500_000_000)
    assert found.expression == LC_FAMILY and all(name in LC_FAMILY.split(" or ") for name in lc.FLAGS)


def test_the_request_of_the_streaming_scan() -> None:
    found = asked(
        max_symbols=50,
        enable_prioritization=False,
        enable_streaming=True,
        termination_criteria={"max_signals": 5},
    )
    assert (found.max_symbols, found.max_signals) == (50, 5)
    assert (found.prioritization, found.streaming) == (False, True)
    assert found.min_tech_rating == 50.0, "nothing was said of what to find"


def test_an_expression_says_what_to_find() -> None:
    found = asked(expression="rsi14 < 30", order_by="rsi14", ascending=True, top=5)
    assert (found.expression, found.order_by, found.ascending, found.top) == ("rsi14 < 30", "rsi14", True, 5)
    assert found.min_tech_rating is None


def test_a_flag_may_be_in_query_or_body_and_must_not_contradict_itself() -> None:
    assert asked({"enable_streaming": False}).streaming is False
    assert asked({"enable_streaming": False}, enable_streaming=False).streaming is False
    assert flag("async_mode", ScanBody(), FlagQuery(async_mode=False)) is False
    assert flag("async_mode", ScanBody(), FlagQuery()) is True
    with pytest.raises(Problem, match="contradiction"):
        asked({"enable_streaming": False}, enable_streaming=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"expression": "clos > 1"}, 'unknown field "clos"'),
        ({"expression": "close"}, "a flag is wanted"),
        ({"expression": "rsi14 < 30", "order_by": "sector"}, "a number is wanted"),
        ({"expression": "1 < 2"}, "names no field"),
        ({"expression": "(" * 60 + "close" + ")" * 60 + " > 1"}, "column"),
        ({"sectors": ["Nowhere"]}, "no sector"),
        ({"top": 3}, "top wants an order"),
        ({"on": "2026-11-20", "since": "2026-11-01"}, "two ways"),
        ({"since": "2026-11-20", "until": "2026-11-01"}, "earlier date first"),
        ({"on": "2026-11-20", "expression": "market_cap > 1e9"}, "biased"),
        ({"start_date": "2026-11-20", "since": "2026-11-01"}, "since is given twice"),
        ({"min_volume": 5, "filters": {"min_volume": 6}}, "min_volume is given twice"),
    ],
)
def test_a_scan_that_cannot_be_run_is_refused_before_anybody_waits_for_it(body: dict[str, Any], words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        asked(**body)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "body",
    [
        {"expression": "x" * 4001},
        {"max_symbols": -1},
        {"min_tech_rating": float("nan")},
        {"min_volume": float("inf")},
        {"tickers": ["A" * 17]},
        {"tickers": ["A'; DROP TABLE scans"]},
        {"sectors": ["a\nb"]},
        {"sectors": ["x"] * 21},
        {"unknown": 1},
        {"since": "yesterday"},
        {"timeout_s": 1e9},
        {"filters": {"other": 1}},
    ],
)
def test_wrong_values_are_no_body(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScanBody(**body)
