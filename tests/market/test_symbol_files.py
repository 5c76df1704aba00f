"""Real lines of 2025-10-30; what they must come to was read off by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.symbol_files import BadSymbolFile, SymbolFile, parse_symbol_file, yahoo_ticker
from market.tickers import BadTicker
from market.universe import Listing

DATA = Path(__file__).parents[1] / "data"


def text_of(name: str) -> str:
    return (DATA / f"{name}.txt").read_bytes().decode()


@cache
def parsed(name: str) -> SymbolFile:
    return parse_symbol_file(text_of(name), source=name)


def listing(name: str, ticker: str) -> Listing:
    (found,) = (each for each in parsed(name).listings if each.ticker == ticker)
    return found


def test_a_line_of_nasdaqs_own_file_is_a_listing() -> None:
    assert listing("nasdaqlisted", "AAPL") == Listing(
        ticker="AAPL",
        company_name="Apple Inc. - Common Stock",
        exchange="NMS",
        quote_type="EQUITY",
        security_type="Common",
    )
    assert (listing("nasdaqlisted", "QQQ").quote_type, listing("nasdaqlisted", "QQQ").security_type) == ("ETF", "ETF")
    assert listing("nasdaqlisted", "HBANP").security_type == "Preferred"


def test_a_line_of_the_other_exchanges_file_is_a_listing_in_yahoos_form() -> None:
    assert listing("otherlisted", "BRK-B").exchange == "NYQ"
    assert listing("otherlisted", "SPY").exchange == "PCX"
    assert listing("otherlisted", "ABR-PD").security_type == "Preferred"
    assert listing("otherlisted", "NAN").company_name == "Nuveen New York Quality Municipal Income Fund Common Stock"


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        ("A", "A"),
        ("BRK.B", "BRK-B"),
        ("ABR-D", "ABR-PD"),
        ("HWM-", "HWM-P"),
        ("ACHR+", "ACHR-WT"),
        ("BIOX+A", "BIOX-WTA"),
        ("AAM=", "AAM-UN"),
        ("JENA^", "JENA-RI"),
    ],
)
def test_each_sign_has_yahoos_ending(symbol: str, ticker: str) -> None:
    assert yahoo_ticker(symbol) == ticker


@pytest.mark.parametrize("symbol", ["", "DD#", "brk.b", "A B", "BRK.", "ABCDEFG", "A-B-C"])
def test_what_yahoo_has_no_ticker_for_is_refused(symbol: str) -> None:
    with pytest.raises(BadTicker):
        yahoo_ticker(symbol)


def test_test_issues_are_told_apart_and_are_no_listings() -> None:
    nasdaq, other = parsed("nasdaqlisted"), parsed("otherlisted")
    assert {"ZAZZT", "ZVZZT", "ZXYZ-A"} <= nasdaq.tests
    assert {"ATEST", "ATEST-A", "ZVV", "CBO", "ZXIET"} <= other.tests
    for file in (nasdaq, other):
        assert not {each.ticker for each in file.listings} & file.tests


def test_a_listing_before_its_issue_is_refused_with_its_line() -> None:
    assert [each.text.split("|")[0] for each in parsed("otherlisted").refused] == ["DD.V"]


def test_a_line_of_too_few_columns_is_refused_and_the_rest_is_read() -> None:
    lines = text_of("nasdaqlisted").splitlines()
    found = parse_symbol_file("\n".join([lines[0], "AAPL|Apple", *lines[1:]]), source="x")
    assert [(each.line, "has 2 columns, not 8" in each.reason) for each in found.refused] == [(2, True)]
    assert found.listings == parsed("nasdaqlisted").listings


@pytest.mark.parametrize("text", ["", "<!DOCTYPE html><html></html>", "Symbol|Name\nA|B\n"])
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(BadSymbolFile, match="is no symbol directory"):
        parse_symbol_file(text, source="x")


@given(st.integers(min_value=110, max_value=2000))
def test_a_file_that_was_cut_anywhere_is_refused(size: int) -> None:
    with pytest.raises(BadSymbolFile, match="was cut"):
        parse_symbol_file(text_of("nasdaqlisted")[:size], source="x")


@given(st.text(max_size=300))
def test_no_text_in_the_middle_ends_in_another_error(text: str) -> None:
    lines = text_of("otherlisted").splitlines()
    parse_symbol_file("\n".join([lines[0], text.replace("\n", " "), lines[-1]]), source="x")
