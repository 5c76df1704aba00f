"""Names as the exchanges and Yahoo write them; the kinds were told by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from market.security_types import security_type_of
from market.universe import BUNDLED_UNIVERSE, parse_universe


@pytest.mark.parametrize(
    ("ticker", "name", "kind"),
    [
        ("AAPL", "Apple Inc. - Common Stock", "Common"),
        ("AAPL", None, "Common"),
        ("BRK-B", "Berkshire Hathaway Inc.", "Common"),
        ("EQR", "Equity Residential Common Shares of Beneficial Interest", "Common"),
        ("PRT", "PermRock Royalty Trust Units of Beneficial Interest", "Common"),
        ("BEP", "Brookfield Renewable Partners L.P. Limited Partnership Units", "Common"),
        ("TSM", "Taiwan Semiconductor Manufacturing Company Ltd. American Depositary Shares", "ADR"),
        ("ITUB", "Itau Unibanco ADS (Each repstg 500 Preferred shares)", "ADR"),
        ("WDH", "Waterdrop Inc. American Depositary Shares (each representing the right to receive 10 Class A", "ADR"),
        (
            "KOF",
            "Coca Cola Femsa American Depositary Shares each representing 10 Units (each Unit consists of 3",
            "ADR",
        ),
        ("ASML", "ASML Holding N.V. New York Registry Shares", "ADR"),
        ("ABR-PD", "Arbor Realty Trust, Inc.", "Preferred"),
        ("HBANP", "Huntington Bancshares Incorporated Depositary Shares 4.500% Series H Preferred Stock", "Preferred"),
        ("BANFP", "BancFirst Corporation - BFC Capital Trust II Cumulative Trust Preferred Securities", "Preferred"),
        ("CCID", "Carlyle Credit Income Fund 7.375% Series D Term Preferred Shares due 2028", "Preferred"),
        ("FFC", "Flaherty & Crumrine Preferred and Income Securities Fund Incorporated", "Fund"),
        ("HPI", "John Hancock Preferred Income Fund Common Shares of Beneficial Interest", "Fund"),
        ("GAINZ", "Gladstone Investment Corporation 4.875% Notes due 2028", "Note"),
        ("BEPH", "Brookfield BRP Holdings (Canada) Inc. 4.625% Perpetual Subordinated Notes", "Note"),
        ("SMHB", "ETRACS Monthly Pay 2x Leveraged Small Cap High Dividend ETN Series B", "Note"),
        ("ACHR-WT", "Archer Aviation Inc.", "Warrant"),
        ("RAC-WS", "Rithm Acquisition Corp.", "Warrant"),
        ("OPENL", "Opendoor Technologies Inc Series A Warrants each whole warrant exercisable to purchase", "Warrant"),
        ("IQMXW", "IQM Quantum Computers Oyj Warrants to purchase American Depositary Shares", "Warrant"),
        ("ADSEW", "ADS-TEC ENERGY PLC - Warrant", "Warrant"),
        ("AAM-UN", "AA Mission Acquisition Corp.", "Unit"),
        (
            "HYACU",
            "Haymaker Acquisition Corp. 4 Units, each consisting one Class A Share and one-half of one Warrant",
            "Unit",
        ),
        ("SOMN", "Southern Company (The) 2025 Series A Corporate Units", "Unit"),
        ("JENA-RI", "Jena Acquisition Corporation II", "Right"),
        ("BKHAR", "Black Hawk Acquisition Corporation Rights", "Right"),
    ],
)
def test_the_kind_is_told_by_the_tickers_ending_or_by_the_name(ticker: str, name: str | None, kind: str) -> None:
    assert security_type_of(ticker, name) == kind


def test_what_the_exchange_says_goes_before_the_name() -> None:
    assert security_type_of("QQQ", "Invesco QQQ Trust, Series 1", is_etf=True) == "ETF"
    assert security_type_of("ZFZZT", "Nasdaq ETF Test Stock", is_etf=True, is_test=True) == "Test"


def test_of_the_bundled_list_nearly_all_are_of_the_kind_that_it_says() -> None:
    """Where they differ the list is mostly wrong: it takes WDH's ADRs for rights."""
    listings = parse_universe(BUNDLED_UNIVERSE.read_text(encoding="utf-8"), source="universe.csv").listings
    differ = Counter(
        listing.security_type
        for listing in listings
        if listing.security_type
        != security_type_of(listing.ticker, listing.company_name, is_etf=listing.quote_type == "ETF")
    )
    assert sum(differ.values()) <= 70 < len(listings) / 100
    assert differ.keys() & {"Warrant", "ETF"} <= {"Warrant"}
