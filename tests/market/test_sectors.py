from __future__ import annotations

from market.sectors import GICS_OF_YAHOO, NAMES, yahoo_sector


def test_the_names_of_gics_and_yahoo_mean_the_same_eleven_sectors() -> None:
    assert len(GICS_OF_YAHOO) == 11
    assert yahoo_sector("Information Technology") == yahoo_sector("technology") == "Technology"
    assert yahoo_sector(" Consumer  Staples ") == "Consumer Defensive"
    assert yahoo_sector("Health Care") == "Healthcare"
    assert all(yahoo_sector(name) in GICS_OF_YAHOO for name in NAMES)
    assert yahoo_sector("Finance") == "Financial Services"
    assert yahoo_sector("Telecommunications") == "Communication Services"


def test_what_is_no_sector_is_none() -> None:
    assert yahoo_sector("Tech") is None
