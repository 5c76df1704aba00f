from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.fundamentals import Decoded
from yahoo.quote import BadAnswer, Refused
from yahoo.summary_fields import decode

RECORDED = Path(__file__).parent.parent / "data" / "quote_summaries.jsonl.gz"
NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
PRICE = {"symbol": "AAPL", "currency": "USD", "regularMarketPrice": 131.96}
NUMBERS: dict[str, tuple[str, ...]] = {
    "employees": ("assetProfile.fullTimeEmployees",),
    "beta": ("summaryDetail.beta", "defaultKeyStatistics.beta", "defaultKeyStatistics.beta3Year"),
    "one_year_target": ("financialData.targetMeanPrice",),
    "target_low": ("financialData.targetLowPrice",),
    "target_high": ("financialData.targetHighPrice",),
    "analyst_count": ("financialData.numberOfAnalystOpinions",),
    "dividend_rate": ("summaryDetail.dividendRate",),
    "revenue_ttm": ("financialData.totalRevenue",),
    "revenue_growth": ("financialData.revenueGrowth",),
    "earnings_growth": ("financialData.earningsGrowth",),
    "ebitda": ("financialData.ebitda",),
    "profit_margin": ("financialData.profitMargins", "defaultKeyStatistics.profitMargins"),
    "gross_margin": ("financialData.grossMargins",),
    "operating_margin": ("financialData.operatingMargins",),
    "return_on_equity": ("financialData.returnOnEquity",),
    "return_on_assets": ("financialData.returnOnAssets",),
    "free_cash_flow": ("financialData.freeCashflow",),
    "operating_cash_flow": ("financialData.operatingCashflow",),
    "total_cash": ("financialData.totalCash",),
    "total_debt": ("financialData.totalDebt",),
    "current_ratio": ("financialData.currentRatio",),
    "float_shares": ("defaultKeyStatistics.floatShares",),
    "shares_short": ("defaultKeyStatistics.sharesShort",),
    "short_percent_of_float": ("defaultKeyStatistics.shortPercentOfFloat",),
    "held_by_insiders": ("defaultKeyStatistics.heldPercentInsiders",),
    "held_by_institutions": ("defaultKeyStatistics.heldPercentInstitutions",),
}
"""Field -> where a recording has the same number in the same unit."""
WORDS = {
    "sector": "assetProfile.sector",
    "industry": "assetProfile.industry",
    "country": "assetProfile.country",
    "financial_currency": "financialData.financialCurrency",
}


@cache
def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]


def read(record: dict[str, Any]) -> Decoded | str:
    at = datetime.fromisoformat(record["recorded_at"])
    try:
        return decode(orjson.dumps(record["body"]), asked=record["asked"], at=at, must_name=False)
    except Refused as refused:
        return refused.reason


def found(record: dict[str, Any], *places: str) -> Any:
    modules = record["body"]["quoteSummary"]["result"][0]
    values = (modules.get(module, {}).get(key) for module, key in (place.split(".") for place in places))
    return next((value for value in values if value is not None), None)


@cache
def with_rows() -> list[tuple[dict[str, Any], Decoded]]:
    return [(record, told) for record in recorded() if isinstance(told := read(record), Decoded)]


def answer(**modules: Any) -> bytes:
    return orjson.dumps({"quoteSummary": {"result": [modules], "error": None}})


def test_every_recorded_answer_ends_in_a_row_or_a_named_reason() -> None:
    outcomes = Counter(told if isinstance(told := read(each), str) else "row" for each in recorded())
    # 189 of status 404; of 200 one without modules, 657 of modules that are not read, 54 in other currencies.
    assert outcomes == {
        "row": 361,
        "no_fundamentals": 187,
        "not_found": 1,
        "empty": 1,
        "no_modules": 657,
        "currency": 54,
    }
    assert sum(outcomes.values()) == 1261


def test_each_number_of_a_row_is_the_recorded_one_or_refused_by_a_rule() -> None:
    compared, refused = Counter[str](), Counter[tuple[str, str]]()
    for record, told in with_rows():
        rules = dict(told.refused)
        for field, places in NUMBERS.items():
            value = getattr(told.fundamentals, field)
            if field in rules:
                assert value is None
                refused[field, rules[field]] += 1
            else:
                assert value == found(record, *places), (record["asked"], field)
                compared[field] += value is not None
    assert min(compared[field] for field in NUMBERS) >= 30
    assert refused == {
        ("operating_margin", "no_revenue"): 15,
        ("profit_margin", "no_revenue"): 4,
        ("gross_margin", "no_revenue"): 2,
        ("float_shares", "unit"): 4,
    }


def test_each_name_and_date_of_a_row_is_the_recorded_one() -> None:
    for record, told in with_rows():
        facts = told.fundamentals
        assert {name: getattr(facts, name) for name in WORDS} == {
            name: found(record, place) for name, place in WORDS.items()
        }
        rating = found(record, "financialData.recommendationKey")
        assert facts.recommendation == (None if rating == "none" else rating)
        for field, places in (
            ("ex_dividend_date", ("summaryDetail.exDividendDate", "calendarEvents.exDividendDate")),
            ("last_split_date", ("defaultKeyStatistics.lastSplitDate",)),
        ):
            at = found(record, *places)
            assert getattr(facts, field) == (at and datetime.fromtimestamp(at, UTC).date())


def test_percent_and_words_come_in_our_units() -> None:
    percent = [
        (told.fundamentals.debt_to_equity, found(record, "financialData.debtToEquity")) for record, told in with_rows()
    ]
    assert all(ours == pytest.approx(theirs / 100) for ours, theirs in percent if theirs is not None)
    ratios = {
        told.fundamentals.last_split_ratio: found(record, "defaultKeyStatistics.lastSplitFactor")
        for record, told in with_rows()
    }
    assert ratios == {None: None, 4.0: "4:1", 0.1: "1:10", 20.0: "20:1", 2.0: "2:1", 1.15: "115:100"}


def test_one_who_pays_from_a_loss_has_no_payout_ratio_and_one_who_pays_nothing_pays_nothing() -> None:
    pays = decode(answer(price=PRICE, summaryDetail={"payoutRatio": 0, "dividendRate": 2.5}), asked="AAPL", at=NOW)
    keeps = decode(answer(price=PRICE, summaryDetail={"payoutRatio": 0}), asked="AAPL", at=NOW)
    assert (pays.fundamentals.payout_ratio, keeps.fundamentals.payout_ratio) == (None, 0)


def test_the_answer_says_what_the_audit_compares() -> None:
    record = next(each for each in recorded() if found_price(each) == 131.96 and each["asked"] == "AAPL")
    told = read(record)
    assert isinstance(told, Decoded)
    witness = told.witness
    assert (witness.price, witness.open, witness.high, witness.low) == (131.96, 135.83, 136.74, 130.21)
    assert (witness.volume, witness.previous_close) == (177_523_812, 137.09)
    assert witness.price_time == datetime(2021, 1, 29, 21, 0, 2, tzinfo=UTC)


def found_price(record: dict[str, Any]) -> Any:
    result = record["body"]["quoteSummary"]["result"]
    return result and result[0].get("price", {}).get("regularMarketPrice")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (answer(price={"symbol": "MSFT"}, assetProfile={"sector": "Technology"}), "foreign"),
        (answer(quoteType={"symbol": "MSFT"}, price={"symbol": "AAPL"}), "foreign"),
        (answer(assetProfile={"sector": "Technology"}), "unnamed"),
        (answer(price=PRICE | {"currency": "GBp"}), "currency"),
        (answer(assetProfile={}, summaryDetail={}), "empty"),
        (answer(), "empty"),
        (b'{"quoteSummary": {"result": [], "error": null}}', "empty"),
        (b'{"quoteSummary": {"result": null, "error": null}}', "empty"),
        (answer(secFilings={"filings": [1]}), "no_modules"),
        (
            b'{"quoteSummary":{"result":null,"error":{"code":"Not Found",'
            b'"description":"Quote not found for symbol: WBA"}}}',
            "not_found",
        ),
    ],
)
def test_an_answer_that_brings_no_row_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(body, asked="AAPL", at=NOW)
    assert refused.value.reason == reason
    assert "AAPL" in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>Will be right back</body></html>",
        b"Edge: Too Many Requests",
        b"",
        b"null",
        b"[]",
        b'{"quoteSummary": null}',
        b'{"quoteSummary": {"result": "none", "error": null}}',
        b'{"quoteSummary": {"result": [7], "error": null}}',
        b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}',
        b'{"quoteSummary":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}',
        answer(price=PRICE)[:-9],
    ],
)
def test_what_is_no_answer_is_named_bad(body: bytes) -> None:
    with pytest.raises(BadAnswer) as bad:
        decode(body, asked="AAPL", at=NOW)
    assert not isinstance(bad.value, Refused)


def test_a_module_without_content_takes_nothing_from_the_others() -> None:
    body = answer(price=PRICE, assetProfile={}, summaryDetail=None, financialData={"targetMeanPrice": 149.9})
    assert decode(body, asked="AAPL", at=NOW).fundamentals.one_year_target == 149.9


def test_values_of_a_wrong_kind_are_not_said() -> None:
    body = answer(
        price=PRICE,
        assetProfile={"sector": 7, "country": "N/A", "industry": "A\0B", "fullTimeEmployees": "many"},
        summaryDetail={"beta": "Infinity", "exDividendDate": {}, "dividendRate": {"raw": 0.82, "fmt": "0.82"}},
        defaultKeyStatistics={"lastSplitFactor": "4:0", "lastSplitDate": True},
        financialData=[1],
    )
    facts = decode(body, asked="AAPL", at=NOW).fundamentals
    assert {name for name in facts.__slots__ if getattr(facts, name) is not None} == {"ticker", "dividend_rate"}
    assert facts.dividend_rate == 0.82


def test_what_a_rule_refuses_is_left_out_and_named() -> None:
    body = answer(price=PRICE, financialData={"targetMeanPrice": 14_990.0, "numberOfAnalystOpinions": 38})
    told = decode(body, asked="AAPL", at=NOW)
    assert (told.fundamentals.one_year_target, told.fundamentals.analyst_count) == (None, 38)
    assert told.refused == (("one_year_target", "unit"),)


def test_a_date_is_the_day_at_whose_midnight_in_utc_it_is_given() -> None:
    body = answer(price=PRICE, summaryDetail={"exDividendDate": 1612483200})
    assert decode(body, asked="AAPL", at=NOW).fundamentals.ex_dividend_date == date(2021, 2, 5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["raw", "symbol", "error"]), inner),
    max_leaves=5,
)
READ = sorted({place.partition(".")[2] for places in NUMBERS.values() for place in places} | {"symbol", "currency"})


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["price", "financialData", "summaryDetail"]), st.dictionaries(st.sampled_from(READ), JSON)
    )
)
def test_no_content_of_modules_breaks_the_reader(modules: dict[str, Any]) -> None:
    try:
        body = json.dumps({"quoteSummary": {"result": [modules], "error": None}}).encode()
        decode(body, asked="AAPL", at=NOW, must_name=False)
    except BadAnswer:
        pass


@settings(max_examples=40)
@given(JSON, st.binary())
def test_nothing_else_breaks_it_either(document: Any, noise: bytes) -> None:
    for body in (
        json.dumps({"quoteSummary": document}).encode(),
        json.dumps({"quoteSummary": {"result": document}}).encode(),
        noise,
    ):
        with pytest.raises(BadAnswer):
            decode(body, asked="AAPL", at=NOW)
