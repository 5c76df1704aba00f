from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from market.sectors import GICS_OF_YAHOO
from market.universe import (
    BUNDLED_UNIVERSE,
    FIXED_8782,
    Listing,
    UniverseFile,
    parse_universe,
    select,
    with_bundled_facts,
)


@cache
def bundled() -> UniverseFile:
    return parse_universe(BUNDLED_UNIVERSE.read_text(encoding="utf-8"), source="universe.csv")


def tickers(text: str) -> list[str]:
    return [listing.ticker for listing in parse_universe(text, source="mine.csv").listings]


def refused(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.reason) for each in parse_universe(text, source="mine.csv").refused]


def test_one_ticker_per_line_with_comments_and_blanks() -> None:
    text = "# my list\n\nAAPL\n  msft  # software\nBRK.B\n\t\nNA\nNAN\nTRUE\nNULL\n"
    assert tickers(text) == ["AAPL", "MSFT", "BRK-B", "NA", "NAN", "TRUE", "NULL"]
    assert refused(text) == []


def test_a_csv_may_call_its_column_symbol_or_ticker_and_leave_out_the_rest() -> None:
    assert tickers("Ticker\nAAPL\n") == ["AAPL"]
    assert tickers("weight, Symbol \n5,AAPL\n,NA\n") == ["AAPL", "NA"]


def test_the_facts_of_a_csv_row_are_kept_and_empty_ones_are_not_known() -> None:
    text = 'symbol,name,exchange,type,sector,industry\nspy,"SPDR S&P 500, the ETF",ARCA,ETF,,Large Cap\nA,,,Common\n'
    spy, agilent = parse_universe(text, source="mine.csv").listings
    assert spy == Listing(
        ticker="SPY",
        company_name="SPDR S&P 500, the ETF",
        exchange="ARCA",
        quote_type="ETF",
        security_type="ETF",
        industry="Large Cap",
    )
    assert agilent == Listing(ticker="A", quote_type="EQUITY", security_type="Common")


def test_a_sector_has_one_name_whoever_called_it() -> None:
    text = "ticker,sector\nJPM,Finance\nJNJ,health care\nX,Miscellaneous\nY,Shipping\n"
    sectors = [listing.sector for listing in parse_universe(text, source="mine.csv").listings]
    assert sectors == ["Financial Services", "Healthcare", None, "Shipping"]


def test_bom_and_the_line_ends_of_windows_and_old_macs_are_survived() -> None:
    assert tickers("\ufeffsymbol,name\r\nAAPL,Apple\r\nMSFT,Microsoft\r\n") == ["AAPL", "MSFT"]
    assert tickers("\ufeffAAPL\rMSFT\r") == ["AAPL", "MSFT"]


def test_a_bad_line_is_refused_with_its_number_and_the_rest_goes_on() -> None:
    text = "symbol,name\nAAPL,Apple\n,nobody\naapl,again\nMS\x00FT,x\n"
    text += 'GE,General\x00Electric\nBTC-USD,coin\nGOOG,a,b\nIBM,"open\nF,Ford\n'
    assert tickers(text) == ["AAPL", "F"]
    found = refused(text)
    assert [line for line, _ in found] == [3, 4, 5, 6, 7, 8, 9]
    expected = [
        "is empty",
        "AAPL is already on line 2",
        "control character",
        "control character",
        "form of a US ticker",
        "3 columns",
        "end of data",
    ]
    for (_, reason), part in zip(found, expected, strict=True):
        assert part in reason


def test_two_forms_of_one_ticker_are_a_duplicate() -> None:
    assert refused("# classes\nBRK.B\nBRK/B\nbrk-b\n") == [
        (3, "BRK-B is already on line 2"),
        (4, "BRK-B is already on line 2"),
    ]


def test_an_overlong_line_is_refused_and_only_its_beginning_kept() -> None:
    found = parse_universe("AAPL\n" + "x" * 200_000 + "\n", source="mine.csv").refused[0]
    assert (found.line, found.text) == (2, "x" * 60)
    assert "200000 characters" in found.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "^mine.csv: holds no valid ticker; write one US ticker per line"),
        ("# nothing\n\n", "holds no valid ticker"),
        ("symbol,name\n", "holds no valid ticker"),
        ("BTC-USD\n^GSPC\n", r"holds no valid ticker \(line 1: 'BTC-USD' does not have the form"),
        ("name,price\nApple,230\n", "^mine.csv: line 1: no column symbol or ticker"),
        ("x" * 200_000, "holds no valid ticker"),
    ],
)
def test_a_file_without_a_valid_ticker_is_an_error_that_names_it(text: str, said: str) -> None:
    with pytest.raises(FixByHand, match=said):
        parse_universe(text, source="mine.csv")


@given(st.text(max_size=200), st.sampled_from(["", "symbol,name\n"]))
def test_any_text_gives_listings_and_refusals_or_our_error(text: str, header: str) -> None:
    try:
        found = parse_universe(header + "AAPL\n" + text, source="mine.csv")
    except FixByHand:
        return
    names = [listing.ticker for listing in found.listings]
    assert len(set(names)) == len(names) > 0


def test_missing_facts_are_filled_and_given_ones_stay() -> None:
    mine = [Listing(ticker="SPY", company_name="My fund"), Listing(ticker="ZZZZ")]
    facts = [
        Listing(ticker="SPY", company_name="SPDR", exchange="ARCA", quote_type="ETF", security_type="ETF"),
        Listing(ticker="A", company_name="Agilent"),
    ]
    assert with_bundled_facts(mine, facts) == (
        Listing(ticker="SPY", company_name="My fund", exchange="ARCA", quote_type="ETF", security_type="ETF"),
        Listing(ticker="ZZZZ"),
    )


def test_select_leaves_out_etfs_before_it_counts() -> None:
    listings = [
        Listing(ticker="SPY", quote_type="ETF"),
        Listing(ticker="A", quote_type="EQUITY"),
        Listing(ticker="ZZZZ"),
        Listing(ticker="AA", quote_type="EQUITY"),
    ]

    def names(*, include_etfs: bool, limit: int) -> list[str]:
        return [each.ticker for each in select(listings, include_etfs=include_etfs, limit=limit)]

    assert names(include_etfs=True, limit=0) == ["SPY", "A", "ZZZZ", "AA"]
    assert names(include_etfs=True, limit=2) == ["SPY", "A"]
    assert names(include_etfs=False, limit=2) == ["A", "ZZZZ"]


def test_the_bundled_list_has_11815_symbols_in_yahoos_form_and_none_is_refused() -> None:
    found = bundled()
    assert len(found.listings) == 11_815
    assert found.refused == ()
    written = [line.split(",")[0] for line in BUNDLED_UNIVERSE.read_text(encoding="utf-8").splitlines()[1:]]
    assert [listing.ticker for listing in found.listings] == written
    assert {listing.exchange for listing in found.listings} == {"NASDAQ", "NYSE", "AMEX", "ARCA", "BATS"}
    assert sum(listing.quote_type == "ETF" for listing in found.listings) == 4_633
    assert {listing.sector for listing in found.listings} <= {None, *GICS_OF_YAHOO}
    assert {"BRK-B", "ABR-PD", "NA", "NAN", "TRUE"} - {listing.ticker for listing in found.listings} <= {"TRUE"}


def test_the_bundled_list_holds_facts_and_no_prices() -> None:
    header = BUNDLED_UNIVERSE.read_text(encoding="utf-8").splitlines()[0]
    assert header == "symbol,name,exchange,type,sector,industry"


def test_the_fixed_list_has_8782_symbols_all_bundled() -> None:
    fixed = parse_universe(FIXED_8782.read_text(encoding="utf-8"), source="fixed_8782.txt")
    assert len(fixed.listings) == 8_782
    assert fixed.refused == ()
    completed = with_bundled_facts(fixed.listings, bundled().listings)
    etfs = {listing.ticker for listing in completed if listing.quote_type == "ETF"}
    assert len(etfs) == 1_600
    assert all(listing.quote_type and listing.company_name for listing in completed)
    assert {"SPY", "QQQ", "IWM", "DIA", "VOO", "VTI"} <= etfs
    assert all(listing.industry for listing in completed if listing.ticker in etfs)
