import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from market.tickers import BadTicker, normalise_ticker


@pytest.mark.parametrize(
    ("raw", "ticker"),
    [
        ("AAPL", "AAPL"),
        ("  aapl\r\n", "AAPL"),
        ("brk.b", "BRK-B"),
        ("BRK/B", "BRK-B"),
        ("BRK-B", "BRK-B"),
        ("ABR^D", "ABR-PD"),
        ("ABR.PRD", "ABR-PD"),
        ("ABR.PR.D", "ABR-PD"),
        ("ABR/PRD", "ABR-PD"),
        ("ABR-PRD", "ABR-PD"),
        ("ABR-PD", "ABR-PD"),
        ("C^R", "C-PR"),
        ("C-PR", "C-PR"),  # Yahoo's form of Citigroup's series R, not "preferred without a letter"
        ("TY^", "TY-P"),
        ("TY-P", "TY-P"),
        ("ACHR.WS", "ACHR-WT"),
        ("ACHR/WS", "ACHR-WT"),
        ("RAC-WS", "RAC-WS"),
        ("ABC.U", "ABC-UN"),
        ("ABC.RT", "ABC-RI"),
        ("ABC-WTA", "ABC-WTA"),
        ("NA", "NA"),
        ("nan", "NAN"),
        ("TRUE", "TRUE"),
        ("F", "F"),
        ("AACBU", "AACBU"),
    ],
)
def test_every_common_form_becomes_yahoos(raw: str, ticker: str) -> None:
    assert normalise_ticker(raw) == ticker
    assert normalise_ticker(ticker) == ticker


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        " \t ",
        "BRK B",
        "AA\x00PL",
        "AAPL\x1f",
        "AA\nPL",
        "AAPL\u00a0",
        "ÅAPL",
        "ſPY",  # upper() would make it SPY
        "A" * 21,
        "ABCDEF",
        "BTC-USD",
        "EURUSD=X",
        "^GSPC",
        "VOD.L",
        "7203.T",
        "RY.TO",
        "600519",
        "AAPL;DROP",
        "AAPL,MSFT",
        "-A",
        "BRK-",
        "BRK..B",
        "A-B-C",
        "$AAPL",
    ],
)
def test_what_is_no_us_ticker_is_refused(raw: str | None) -> None:
    with pytest.raises(BadTicker) as caught:
        normalise_ticker(raw)
    assert isinstance(caught.value, FixByHand)
    assert caught.value.raw == (raw and raw[:20])
    assert "write a US ticker like AAPL, BRK.B or ABR^D" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=25) | st.from_regex(r"[A-Za-z]{1,6}[.^/-]?[A-Za-z]{0,3}", fullmatch=True))
def test_a_normalised_ticker_stays_as_it_is(raw: str) -> None:
    try:
        ticker = normalise_ticker(raw)
    except BadTicker:
        return
    assert normalise_ticker(ticker) == ticker
    assert ticker.isascii() and len(ticker) <= 9


@pytest.mark.parametrize("raw", ["BRK B", "AA\x00PL", "ÅAPL"])
def test_a_letter_that_no_ticker_has_is_named_as_the_reason(raw: str) -> None:
    with pytest.raises(BadTicker, match="holds a space, a control character or a letter beyond A-Z"):
        normalise_ticker(raw)
