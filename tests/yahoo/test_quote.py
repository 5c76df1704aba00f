import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.quotes import Quote
from yahoo.quote import FIELDS, BadAnswer, parse_answer, parse_quote, query

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "v7_quotes.jsonl").read_text(encoding="utf-8").splitlines()
]
AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
AS_SENT = {
    "exchange": "exchange",
    "quote_type": "quoteType",
    "currency": "currency",
    "market_state": "marketState",
    "price_change": "regularMarketChange",
    "price_change_percent": "regularMarketChangePercent",
    "volume": "regularMarketVolume",
    "avg_volume_3mon": "averageDailyVolume3Month",
    "forward_pe": "forwardPE",
    "earnings_per_share": "epsTrailingTwelveMonths",
    "book_value": "bookValue",
    "price_to_book": "priceToBook",
}
ZERO_IS_UNKNOWN = {
    "current_price": "regularMarketPrice",
    "pre_market_price": "preMarketPrice",
    "post_market_price": "postMarketPrice",
    "days_low": "regularMarketDayLow",
    "days_high": "regularMarketDayHigh",
    "open_price": "regularMarketOpen",
    "previous_close": "regularMarketPreviousClose",
    "bid_price": "bid",
    "ask_price": "ask",
    "week_52_low": "fiftyTwoWeekLow",
    "week_52_high": "fiftyTwoWeekHigh",
    "market_cap": "marketCap",
    "shares_outstanding": "sharesOutstanding",
    "pe_ratio": "trailingPE",
}


def rows_of(recording: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["symbol"]: row for row in recording["body"]["quoteResponse"]["result"]}


def recorded_at(recording: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(recording["recorded_at"])


def parsed(recording: dict[str, Any]) -> dict[str, Quote]:
    asked = recording["symbols"].split(",")
    answer = parse_answer(json.dumps(recording["body"]).encode(), asked=asked, at=recorded_at(recording))
    assert {quote.ticker for quote in answer.quotes} | set(answer.missing) == set(asked)
    assert answer.foreign == ()
    return {quote.ticker: quote for quote in answer.quotes}


def a_recording(symbols: str, at: str) -> dict[str, Any]:
    return next(found for found in RECORDED if found["symbols"] == symbols and found["recorded_at"].startswith(at))


def a_quote(**fields: Any) -> Quote:
    return parse_quote({"symbol": "A", "exchange": "NMS", "regularMarketPrice": 10.0} | fields, at=AT)


def test_the_recordings_cover_what_yahoo_sends() -> None:
    rows = [row for recording in RECORDED for row in rows_of(recording).values()]
    assert len(RECORDED) == 150
    assert {row["quoteType"] for row in rows} >= {"EQUITY", "ETF", "NONE", "MUTUALFUND", "INDEX", "CRYPTOCURRENCY"}
    assert {row.get("currency") for row in rows} >= {"USD", "GBp", "EUR", "IDR", "DKK", "AUD", None}
    for field in ("bid", "ask", "dividendYield", "preMarketPrice", "earningsTimestampStart"):
        assert any(field in row for row in rows)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda found: f"{found['symbols']}-{found['recorded_at'][:10]}")
def test_each_field_of_each_recorded_answer_is_what_was_sent(recording: dict[str, Any]) -> None:
    rows = rows_of(recording)
    for ticker, quote in parsed(recording).items():
        row = rows[ticker]
        assert quote.company_name == row.get("longName", row.get("shortName"))
        for column, key in AS_SENT.items():
            assert getattr(quote, column) == row.get(key), column
        for column, key in ZERO_IS_UNKNOWN.items():
            assert getattr(quote, column) == (row.get(key) or None), column
        sent_s = row.get("regularMarketTime")
        assert (quote.price_time and quote.price_time.timestamp()) == sent_s


def test_a_recorded_quote_of_a_listed_stock_is_read_as_by_hand() -> None:
    quote = parsed(a_recording("AAPL", "2021-02-08"))["AAPL"]
    assert quote == Quote(
        ticker="AAPL",
        company_name="Apple Inc.",
        exchange="NMS",
        quote_type="EQUITY",
        currency="USD",
        market_state="CLOSED",
        current_price=136.76,
        price_change=-0.42500305,
        price_change_percent=-0.30980286,
        price_time=datetime(2021, 2, 5, 21, 0, 2, tzinfo=UTC),
        post_market_price=136.68,
        volume=75_693_830,
        days_low=135.86,
        days_high=137.41,
        open_price=137.35,
        previous_close=137.185,
        bid_price=136.68,
        ask_price=136.7,
        bid_size=2900,  # 29 lots
        ask_size=1100,
        week_52_low=53.1525,
        week_52_high=145.09,
        avg_volume_3mon=106_825_349,
        market_cap=2_295_940_513_792.0,
        shares_outstanding=16_788_100_096,
        pe_ratio=37.092484,
        forward_pe=29.34764,
        earnings_per_share=3.687,
        book_value=3.936,
        price_to_book=34.745934,
        next_earnings_date=date(2021, 4, 28),  # 1619607540 = 06:59 in New York
    )


@pytest.mark.parametrize(
    ("symbols", "at", "fraction"),
    [
        ("AAPL", "2025-02-17", 0.0041),  # dividendRate 1 at 244.60
        ("AAPL", "2026-10-03", 0.0033),  # 1.08 at 333.69
        ("ABBV", "2025-02-17", 0.034),  # 6.56 at 192.87
        ("BABA", "2025-02-17", 0.016),  # 2 at 124.73
        ("BEKE", "2025-02-17", 0.0171),  # 0.35 at 20.50
        ("QQQ", "2025-02-17", 0.0054),  # no rate to check it against
    ],
)
def test_a_recorded_dividend_yield_in_percent_becomes_a_fraction(symbols: str, at: str, fraction: float) -> None:
    recording = a_recording(symbols, at)
    quote = parsed(recording)[symbols]
    assert quote.dividend_yield == fraction
    row = rows_of(recording)[symbols]
    if "dividendRate" in row:
        assert fraction == pytest.approx(row["dividendRate"] / row["regularMarketPrice"], rel=0.02)


def test_most_recorded_answers_hold_no_yield_and_a_trailing_one_is_not_taken_for_it() -> None:
    assert parsed(a_recording("AAPL", "2021-02-08"))["AAPL"].dividend_yield is None


@pytest.mark.parametrize(
    ("percent", "rate", "fraction"),
    [
        (0.41, 0.04, 0.0041),
        (0.0041, 0.04, None),  # a fraction: a hundred times off
        (7.9, 0.04, 0.079),  # 0.079 against 0.04 / 10.00: not quite twenty times off
        (8.1, 0.04, None),
        (889.0, 0.04, None),
        (0.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (-1.0, 1.0, None),
        ("0.41", 0.04, None),
        (None, 0.04, None),
    ],
)
def test_a_yield_whose_unit_cannot_be_right_is_not_known(percent: Any, rate: float, fraction: float | None) -> None:
    assert a_quote(dividendYield=percent, dividendRate=rate).dividend_yield == fraction


@pytest.mark.parametrize(
    ("exchange", "price", "size", "shares"),
    [
        *[(exchange, 10.0, 3, 300) for exchange in ("NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS")],
        ("NMS", 199.99, 3, 300),
        ("NMS", 200.0, 3, None),  # the lot may be 40, 10 or 1 share
        ("NMS", None, 3, None),
        ("PNK", 8.46, 385, 385),  # sent in shares
        ("OID", 13.38, 400, 400),
        ("PNK", 500.0, 385, 385),
        ("NMS", 10.0, 0, None),
        ("NMS", 10.0, -3, None),
        ("NMS", 10.0, None, None),
        ("NMS", 10.0, "3", None),
        ("PNK", 10.0, 1e300, None),
    ],
)
def test_sizes_are_in_shares_or_not_known(exchange: str, price: float | None, size: Any, shares: int | None) -> None:
    quote = a_quote(exchange=exchange, regularMarketPrice=price, bidSize=size, askSize=size)
    assert (quote.bid_size, quote.ask_size) == (shares, shares)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda found: f"{found['symbols']}-{found['recorded_at'][:10]}")
def test_recorded_sizes_are_never_guessed(recording: dict[str, Any]) -> None:
    rows = rows_of(recording)
    for ticker, quote in parsed(recording).items():
        row = rows[ticker]
        for found, key in ((quote.bid_size, "bidSize"), (quote.ask_size, "askSize")):
            in_lots = row.get("exchange") in ("NMS", "NGM", "NYQ")  # the listed ones on record
            known = not in_lots or (row.get("regularMarketPrice") or 999.0) < 200
            assert found == (row[key] * (100 if in_lots else 1) if row.get(key) and known else None)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (datetime(2026, 11, 23, 16, 59, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 23, 17, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2027, 1, 29, 3, 0, tzinfo=UTC), date(2027, 1, 28)),  # the evening before in New York
    ],
)
def test_the_next_earnings_date_is_one_that_is_still_to_come(start: datetime, found: date | None) -> None:
    assert a_quote(earningsTimestampStart=int(start.timestamp())).next_earnings_date == found


def test_a_recorded_report_that_is_past_is_not_the_next_one() -> None:
    recording = a_recording("SIMP", "2021-04-03")
    assert rows_of(recording)["SIMP"]["earningsTimestampStart"] == 1_607_943_540  # 2020-12-14
    assert parsed(recording)["SIMP"].next_earnings_date is None


@pytest.mark.parametrize("recorded", ["BRKS 2022-02-24", "SIMP 2025-02-17", "ADH 2021-02-16", "NONEXIST 2022-02-24"])
def test_a_delisted_ticker_is_missing_though_yahoo_sends_its_shell(recorded: str) -> None:
    symbol, at = recorded.split()
    assert parsed(a_recording(symbol, at)) == {}


@pytest.mark.parametrize("value", ["Infinity", "NaN", "", None, True, [], {}, {"raw": 1.0, "fmt": "1"}])
def test_what_is_no_number_is_not_known(value: Any) -> None:
    keys = [key for key in FIELDS.split(",") if key not in ("longName", "shortName", "currency", "marketState")]
    quote = parse_quote({"symbol": "A"} | dict.fromkeys(keys, value), at=AT)
    assert quote == Quote(ticker="A")


@pytest.mark.parametrize("value", [5, 1.5, True, None, "", [], {}, "nul\0"])
def test_what_is_no_text_is_not_known(value: Any) -> None:
    keys = ("longName", "shortName", "currency", "marketState", "exchange", "quoteType")
    assert parse_quote({"symbol": "A"} | dict.fromkeys(keys, value), at=AT) == Quote(ticker="A")


def test_zero_is_kept_where_zero_is_a_fact() -> None:
    quote = a_quote(
        regularMarketChange=0, regularMarketChangePercent=0, regularMarketVolume=0, epsTrailingTwelveMonths=0
    )
    assert (quote.price_change, quote.price_change_percent, quote.volume, quote.earnings_per_share) == (0, 0, 0, 0)


@pytest.mark.parametrize("volume", [-1, 1e300, 2**63, float("1e19")])
def test_a_volume_beyond_sense_is_not_known(volume: float) -> None:
    assert a_quote(regularMarketVolume=volume).volume is None


def test_the_short_name_stands_in_for_a_long_one() -> None:
    assert a_quote(shortName="Short", longName="").company_name == "Short"
    assert a_quote(shortName="Short", longName="Long").company_name == "Long"


def answer_body(*rows: object) -> bytes:
    return json.dumps({"quoteResponse": {"result": list(rows), "error": None}}).encode()


def test_every_asked_ticker_is_accounted_for_in_the_order_asked() -> None:
    body = answer_body(
        {"symbol": "C", "regularMarketPrice": 3},
        {"symbol": "A", "regularMarketPrice": 1},
        {"symbol": "EVIL", "regularMarketPrice": 666},
        {"symbol": 5},
        "rubbish",
        None,
    )
    answer = parse_answer(body, asked=["A", "B", "C", "A"], at=AT)
    assert [quote.ticker for quote in answer.quotes] == ["A", "C"]
    assert answer.missing == ("B",)
    assert answer.foreign == ("EVIL",)


def test_a_halted_ticker_with_a_close_but_no_price_is_an_answer() -> None:
    answer = parse_answer(answer_body({"symbol": "A", "regularMarketPreviousClose": 3}), asked=["A"], at=AT)
    assert answer.quotes == (Quote(ticker="A", previous_close=3.0),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"{}",
        b"<html>consent</html>",
        b"Too Many Requests\r\n",
        b'{"quoteResponse": null}',
        b'{"quoteResponse": {}}',
        b'{"quoteResponse": {"result": null, "error": null}}',
        b'{"quoteResponse": {"result": {"symbol": "A"}}}',
        b'{"quoteResponse": "result"}',
        b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}',
        answer_body({"symbol": "A", "regularMarketPrice": 1})[:-5],
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_answer_to_the_question_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="v7/finance/quote: the answer "):
        parse_answer(body, asked=["A"], at=AT)


def test_the_query_asks_for_the_tickers_and_only_the_fields_that_are_read() -> None:
    parameters = query(["AAPL", "BRK-B"], "a/b.c")
    assert parameters["symbols"] == "AAPL,BRK-B"
    assert parameters["crumb"] == "a/b.c"
    assert parameters["formatted"] == "false"
    asked = set(parameters["fields"].split(","))
    read = set(AS_SENT.values()) | set(ZERO_IS_UNKNOWN.values()) - {"exchange", "quoteType"}
    assert read - asked == {"exchange", "quoteType"}  # always sent
    assert asked - read == {
        *("longName", "shortName", "regularMarketTime", "bidSize", "askSize"),
        *("dividendYield", "dividendRate", "earningsTimestampStart"),
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(FIELDS.split(",")), JSON, max_size=32))
def test_any_values_make_a_quote(row: dict[str, Any]) -> None:
    assert parse_quote(row | {"symbol": "A"}, at=AT).ticker == "A"


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps({"quoteResponse": {"result": value}}).encode()))
def test_any_body_is_an_answer_or_a_bad_one(body: bytes) -> None:
    try:
        answer = parse_answer(body, asked=["A"], at=AT)
    except BadAnswer:
        return
    assert answer.missing == ("A",) or [quote.ticker for quote in answer.quotes] == ["A"]
