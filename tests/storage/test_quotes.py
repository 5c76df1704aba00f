from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from market.quotes import Quote
from storage.prices import PriceRow, flush_prices
from storage.quotes import QuoteResult, write_quotes
from storage.reader import read_quotes
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, NOON, OPENS_AT, StillClock
from yahoo.quote import parse_quote

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
FULL = Quote(
    ticker="A",
    company_name="Agilent",
    exchange="NYQ",
    quote_type="EQUITY",
    currency="USD",
    market_state="REGULAR",
    current_price=150.25,
    price_change=1.5,
    price_change_percent=1.01,
    price_time=NOON,
    pre_market_price=149.0,
    post_market_price=151.0,
    volume=1_234_567,
    days_low=148.0,
    days_high=151.5,
    open_price=149.5,
    previous_close=148.75,
    bid_price=150.2,
    ask_price=150.3,
    bid_size=800,
    ask_size=900,
    week_52_low=100.0,
    week_52_high=160.0,
    avg_volume_3mon=2_000_000,
    market_cap=4.4e10,
    shares_outstanding=290_000_000,
    pe_ratio=33.1,
    forward_pe=25.2,
    dividend_yield=0.0066,
    earnings_per_share=4.54,
    book_value=20.7,
    price_to_book=7.26,
    next_earnings_date=date(2026, 11, 24),
)


def write(
    writer: Writer,
    *quotes: Quote,
    at: datetime = NOON,
    opens_at: datetime | None = OPENS_AT,
    closes_at: datetime | None = CLOSES_AT,
) -> QuoteResult:
    return write_quotes(writer, quotes, at=at, session_opens_at=opens_at, session_closes_at=closes_at)


def row_of(reader: Engine, ticker: str = "A") -> dict[str, Any]:
    rows, _ = read_quotes(reader, [ticker], at=NOON)
    return rows[0]


def stream(writer: Writer, price_usd: float, at: datetime, opens_at: datetime = OPENS_AT) -> None:
    row = PriceRow(ticker="A", price_usd=price_usd, price_time=at)
    flush_prices(writer, [row], price_source="stream", session_opens_at=opens_at)


def test_every_field_of_a_quote_reaches_its_column(writer: Writer, reader: Engine) -> None:
    assert write(writer, FULL) == QuoteResult(written=1, unknown_ticker=0, refused=0)
    row = row_of(reader)
    assert {name: row[name] for name in Quote.__slots__} == {name: getattr(FULL, name) for name in Quote.__slots__}
    assert (row["price_source"], row["price_updated_at"], row["metrics_updated_at"]) == ("quote", NOON, NOON)
    assert (row["daily_updated_at"], row["last_updated"]) == (None, NOON)
    assert row["change_seq"] > 0


def test_a_field_left_out_keeps_its_value_except_where_absence_says_none_now(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    before = row_of(reader)
    write(writer, Quote(ticker="A"), at=NOON + SECOND)
    after = row_of(reader)
    emptied = {name for name in Quote.__slots__ if after[name] is None}
    assert emptied == {
        *("bid_price", "ask_price", "bid_size", "ask_size", "pe_ratio", "forward_pe"),
        *("pre_market_price", "post_market_price", "dividend_yield", "next_earnings_date"),
    }
    assert all(after[name] == before[name] for name in Quote.__slots__ if name not in emptied)
    assert (after["metrics_updated_at"], after["price_updated_at"]) == (NOON + SECOND, NOON)


def test_an_older_answer_changes_nothing(writer: Writer, reader: Engine) -> None:
    write(writer, FULL)
    before = row_of(reader)
    old = Quote(ticker="A", volume=1, current_price=1.0, price_time=NOON - SECOND)
    assert write(writer, old, at=NOON - SECOND) == QuoteResult(written=0, unknown_ticker=0, refused=1)
    assert row_of(reader) == before


def test_an_unknown_ticker_is_counted_and_the_rest_written(writer: Writer) -> None:
    result = write(writer, Quote(ticker="ZZZ", volume=math.nan), Quote(ticker="A"), Quote(ticker="B"))  # type: ignore[arg-type]
    assert result == QuoteResult(written=2, unknown_ticker=1, refused=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("current_price", math.nan),
        ("current_price", -1.0),
        ("current_price", 0.0),
        ("market_cap", math.inf),
        ("volume", -5),
        ("volume", 2**63),
        ("days_high", 0.0),
        ("dividend_yield", -0.1),
    ],
)
def test_an_impossible_number_is_left_out_and_counted(writer: Writer, reader: Engine, field: str, value: Any) -> None:
    quote = replace(Quote(ticker="A", company_name="Agilent", price_time=NOON), **{field: value})
    assert write(writer, quote) == QuoteResult(written=1, unknown_ticker=0, refused=1)
    row = row_of(reader)
    assert (row[field], row["company_name"]) == (None, "Agilent")


def test_a_loss_is_a_possible_number(writer: Writer, reader: Engine) -> None:
    assert write(writer, Quote(ticker="A", earnings_per_share=-2.0, book_value=-1.0)).refused == 0
    assert row_of(reader)["earnings_per_share"] == -2.0


def priced(price_usd: float, at: datetime, **more: Any) -> Quote:
    return Quote(ticker="A", current_price=price_usd, price_time=at, **more)


def test_a_quote_older_than_the_streams_price_leaves_it_alone(writer: Writer, reader: Engine) -> None:
    stream(writer, 10.0, NOON)
    write(writer, priced(9.0, NOON - SECOND, volume=7))
    row = row_of(reader)
    assert (row["current_price"], row["price_source"], row["volume"]) == (10.0, "stream", 7)


def test_a_newer_quote_of_the_session_is_taken(writer: Writer, reader: Engine) -> None:
    stream(writer, 10.0, NOON - SECOND)
    write(writer, priced(11.0, NOON))
    row = row_of(reader)
    assert (row["current_price"], row["price_source"], row["price_time"]) == (11.0, "quote", NOON)


def test_the_closing_auction_counts_and_later_prices_do_not(
    writer: Writer, reader: Engine, still_clock: StillClock
) -> None:
    stream(writer, 10.0, NOON)
    still_clock.at = CLOSES_AT + timedelta(minutes=17)
    minute = timedelta(minutes=1)
    write(writer, priced(11.0, CLOSES_AT + 15 * minute), at=CLOSES_AT + 16 * minute)
    assert row_of(reader)["current_price"] == 11.0
    write(writer, priced(12.0, CLOSES_AT + 15 * minute + SECOND), at=CLOSES_AT + 17 * minute)
    assert row_of(reader)["current_price"] == 11.0


def test_a_table_without_a_price_takes_that_of_a_former_session(writer: Writer, reader: Engine) -> None:
    write(writer, priced(9.0, NOON - DAY))
    assert row_of(reader)["current_price"] == 9.0
    write(writer, priced(8.0, NOON - DAY + SECOND), at=NOON + SECOND)
    assert row_of(reader)["current_price"] == 9.0, "now there is one, and the newer is not of this session"


def test_a_quote_of_the_same_trade_confirms_the_price(writer: Writer, reader: Engine) -> None:
    write(writer, priced(9.0, NOON - DAY))
    write(writer, priced(9.0, NOON - DAY), at=NOON + SECOND)
    assert row_of(reader)["price_updated_at"] == NOON + SECOND


def test_without_a_session_every_newer_price_is_taken(writer: Writer, reader: Engine) -> None:
    write(writer, priced(9.0, NOON - DAY), opens_at=None, closes_at=None)
    write(writer, priced(8.0, NOON - SECOND), opens_at=None, closes_at=None)
    assert row_of(reader)["current_price"] == 8.0


def test_the_range_of_a_quote_not_older_than_the_price_is_taken_as_it_is(writer: Writer, reader: Engine) -> None:
    stream(writer, 99.0, NOON - SECOND)
    write(writer, priced(10.0, NOON, days_low=9.0, days_high=11.0))
    row = row_of(reader)
    assert (row["days_low"], row["days_high"]) == (9.0, 11.0)


def test_an_older_quote_of_the_session_can_only_widen_the_range(writer: Writer, reader: Engine) -> None:
    stream(writer, 10.0, NOON - SECOND)
    stream(writer, 20.0, NOON)
    write(writer, priced(12.0, NOON - SECOND, days_low=8.0, days_high=13.0))
    row = row_of(reader)
    assert (row["days_low"], row["days_high"]) == (8.0, 20.0)


def test_yesterdays_range_does_not_touch_todays(writer: Writer, reader: Engine) -> None:
    stream(writer, 10.0, NOON)
    write(writer, priced(50.0, NOON - DAY, days_low=1.0, days_high=60.0))
    row = row_of(reader)
    assert (row["days_low"], row["days_high"], row["current_price"]) == (10.0, 10.0, 10.0)


def test_yesterdays_range_ends_with_the_first_quote_since_the_open_even_if_it_has_none(
    writer: Writer, reader: Engine
) -> None:
    stream(writer, 50.0, NOON - DAY, opens_at=OPENS_AT - DAY)
    write(writer, priced(10.0, OPENS_AT))
    row = row_of(reader)
    assert (row["days_low"], row["days_high"], row["current_price"]) == (None, None, 10.0)
    write(writer, priced(11.0, NOON, days_low=9.0, days_high=12.0), at=NOON + SECOND)
    write(writer, priced(11.0, NOON), at=NOON + 2 * SECOND)
    row = row_of(reader)
    assert (row["days_low"], row["days_high"]) == (9.0, 12.0), "a range of today stays"


def test_yesterdays_range_stays_until_a_quote_is_of_today(writer: Writer, reader: Engine) -> None:
    stream(writer, 50.0, NOON - DAY, opens_at=OPENS_AT - DAY)
    write(writer, priced(50.0, NOON - DAY))
    write(writer, Quote(ticker="A"), at=NOON + SECOND)
    row = row_of(reader)
    assert (row["days_low"], row["days_high"]) == (50.0, 50.0)


def test_a_quote_of_the_future_gives_no_price_and_cannot_freeze_the_row(writer: Writer, reader: Engine) -> None:
    wrong = priced(9.0, NOON + 60.001 * SECOND, volume=7)
    assert write(writer, wrong) == QuoteResult(written=1, unknown_ticker=0, refused=1)
    row = row_of(reader)
    assert (row["current_price"], row["price_time"], row["volume"]) == (None, None, 7)
    assert write(writer, priced(10.0, NOON + 60 * SECOND)).refused == 0, "clocks differ by as much"
    assert row_of(reader)["price_time"] == NOON + 60 * SECOND


def test_a_date_of_earnings_that_is_past_leaves_the_row(writer: Writer, reader: Engine) -> None:
    announced = {"symbol": "A", "earningsTimestampStart": (NOON + DAY).timestamp()}
    write(writer, parse_quote(announced, at=NOON))
    assert row_of(reader)["next_earnings_date"] == date(2026, 11, 24)
    later = NOON + 2 * DAY
    write(writer, parse_quote(announced, at=later), at=later)
    assert row_of(reader)["next_earnings_date"] is None


def test_a_pre_market_price_of_the_stream_stands_until_an_answer_has_none(writer: Writer, reader: Engine) -> None:
    row = PriceRow(ticker="A", price_usd=5.0, price_time=OPENS_AT - SECOND, kind="pre")
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    assert row_of(reader)["pre_market_price"] == 5.0
    write(writer, priced(10.0, NOON))
    assert row_of(reader)["pre_market_price"] is None


def test_the_last_of_two_answers_for_a_ticker_counts(writer: Writer, reader: Engine) -> None:
    assert write(writer, Quote(ticker="A", volume=1), Quote(ticker="A", volume=2)).written == 1
    assert row_of(reader)["volume"] == 2


@pytest.mark.parametrize(
    ("wrong", "column", "kept"),
    [
        ({"volume": "many"}, "volume", 1_234_567),
        ({"volume": 1.5}, "volume", 1_234_567),
        ({"market_cap": "4.4B"}, "market_cap", 4.4e10),
        ({"company_name": "a\0b"}, "company_name", "Agilent"),
        ({"next_earnings_date": "tomorrow"}, "next_earnings_date", None),
        ({"price_time": NOON.replace(tzinfo=None)}, "price_time", NOON),
    ],
)
def test_a_value_of_a_wrong_type_is_left_out_and_the_batch_written(
    writer: Writer, reader: Engine, wrong: Any, column: str, kept: Any
) -> None:
    write(writer, FULL)
    at = NOON + SECOND
    assert write(writer, replace(FULL, **wrong), Quote(ticker="B", volume=5), at=at).refused == 1
    assert (row_of(reader)[column], row_of(reader)["metrics_updated_at"]) == (kept, at)
    assert row_of(reader, "B")["volume"] == 5


def test_a_quote_without_a_ticker_is_refused(writer: Writer) -> None:
    nobody: Any = None
    assert write(writer, Quote(ticker=nobody), Quote(ticker="B")) == QuoteResult(written=1, unknown_ticker=0, refused=1)
