"""Expected heads, codes and spellings: the directories of nasdaqtrader.com as of 2025-10-30."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import directories
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def market() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.bundled(), calendar=calendar, seed=1, now=NOON)


def rows(name: str, practice: Market | None = None) -> tuple[str, dict[str, list[str]], str]:
    """Return head, rows by symbol, trailer."""
    text = directories.file(practice or market(), f"/dynamic/SymDir/{name}")
    assert text is not None
    assert text.endswith("\r\n")
    head, *lines, trailer = text.removesuffix("\r\n").split("\r\n")
    return head, {line.split("|")[0]: line.split("|") for line in lines}, trailer


def test_nasdaq_s_file_has_its_head_tiers_test_issues_and_trailer() -> None:
    head, found, trailer = rows("nasdaqlisted.txt")

    assert head == "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"
    assert found["AAPL"][2:] == ["Q", "N", "N", "100", "N", "N"]
    assert found["QQQ"][6] == "Y"
    assert found["ZAZZT"][3] == "Y"
    assert trailer == "File Creation Time: 1123202612:00|||||||"
    assert all(len(row) == 8 for row in found.values())


def test_the_other_file_has_its_head_exchanges_and_trailer() -> None:
    head, found, trailer = rows("otherlisted.txt")

    assert head == "ACT Symbol|Security Name|Exchange|CQS Symbol|ETF|Round Lot Size|Test Issue|NASDAQ Symbol"
    assert (found["A"][2], found["SPY"][2], found["SPY"][4]) == ("N", "P", "Y")
    assert found["ATEST.A"][6] == "Y"
    assert trailer == "File Creation Time: 1123202612:00|||||||"
    assert all(len(row) == 8 for row in found.values())


@pytest.mark.parametrize(
    ("yahoo", "act", "cqs", "nasdaq"),
    [
        ("BAC-PD", "BAC$D", "BACpD", "BAC-D"),
        ("BRK-B", "BRK.B", "BRK.B", "BRK.B"),
        ("IAUX-WT", "IAUX.W", "IAUX.WS", "IAUX+"),
        ("AAM-UN", "AAM.U", "AAM.U", "AAM="),
        ("F", "F", "F", "F"),
    ],
)
def test_other_exchanges_symbols_are_spelt_in_three_ways(yahoo: str, act: str, cqs: str, nasdaq: str) -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    listing = listings.invented(yahoo, name="Something", exchange="NYQ", kind="Common")
    practice = Market([listing], calendar=calendar, seed=1, now=NOON)

    row = rows("otherlisted.txt", practice)[1][act]
    assert (row[0], row[3], row[7]) == (act, cqs, nasdaq)


def test_new_listings_renames_and_delistings_are_in_the_next_file() -> None:
    practice = market()
    practice.delist("MSFT")
    practice.rename("AAPL", "PEAR")
    practice.list_new(listings.invented("ZIPO", name="Zipo Inc. Common Stock", exchange="NCM", kind="Common"))
    found = rows("nasdaqlisted.txt", practice)[1]

    assert not found.keys() & {"MSFT", "AAPL"}
    assert found["ZIPO"][1:3] == ["Zipo Inc. Common Stock", "S"]
    assert "Apple" in found["PEAR"][1]


def test_a_ticker_left_out_of_the_lists_is_in_no_file_until_it_is_back() -> None:
    practice = market()
    practice.unlist("MSFT")
    assert "MSFT" not in rows("nasdaqlisted.txt", practice)[1]
    practice.relist("MSFT")
    assert "MSFT" in rows("nasdaqlisted.txt", practice)[1]


def test_a_listing_before_its_issue_has_a_sign_of_its_own() -> None:
    assert rows("otherlisted.txt")[1]["DD.V"][3:] == ["DDw", "N", "100", "N", "DD#"]


def test_each_ticker_stands_in_one_file_and_crypto_in_none() -> None:
    practice = market()
    nasdaq, other = (len(rows(name, practice)[1]) for name in ("nasdaqlisted.txt", "otherlisted.txt"))
    known = {*directories.NASDAQ_TIERS, *directories.OTHER_EXCHANGES}

    assert nasdaq + other == sum(stock.listing.exchange in known for stock in practice.stocks.values()) + 5
    assert directories.file(practice, "/dynamic/SymDir/other.txt") is None
