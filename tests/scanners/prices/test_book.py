from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.quotes import Quote, Tick
from market.sessions import Session
from scanners.prices.book import PriceBook, kind_of
from storage.prices import PriceRow
from tests.fix_scanners import MONDAY, NOON

SECOND = timedelta(seconds=1)
HEARD_AT = NOON + SECOND
PRE, REGULAR, POST, OVERNIGHT = 0, 1, 2, 4
TUESDAY = Session(
    session_date=datetime(2026, 11, 24).date(),
    opens_at=datetime(2026, 11, 24, 14, 30, tzinfo=UTC),
    closes_at=datetime(2026, 11, 24, 21, 0, tzinfo=UTC),
)
BOTH = (MONDAY, TUESDAY)


def tick(price: float = 10.0, *, ticker: str = "A", at: datetime = NOON, hours: int = REGULAR, **more: Any) -> Tick:
    return Tick(ticker=ticker, price=price, price_time=at, market_hours=hours, **more)


def booked(*ticks: Tick, tickers: str = "ABC", sessions: Sequence[Session] = BOTH) -> PriceBook:
    book = PriceBook(tickers)
    for each in ticks:
        book.offer(each, sessions, now=max(HEARD_AT, each.price_time), now_s=1.0)
    return book


def taken(book: PriceBook) -> dict[str, float]:
    return {row.ticker: row.price_usd for row in book.take()}


def eastern(hour: int, minute: int = 0, second: int = 0, *, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC) + timedelta(hours=5)


def test_a_row_says_what_the_tick_said() -> None:
    book = booked(tick(10.5, change=0.5, change_percent=5.0))
    assert book.take() == [
        PriceRow(ticker="A", price_usd=10.5, change=0.5, change_percent=5.0, price_time=NOON, kind="regular")
    ]


def test_only_the_newest_of_a_ticker_is_taken() -> None:
    assert taken(booked(tick(1.0), tick(1.2, at=NOON + SECOND))) == {"A": 1.2}


def test_a_tick_out_of_order_is_counted_and_moves_no_price_back() -> None:
    book = booked(tick(1.2, at=NOON + SECOND), tick(1.0))
    assert taken(book) == {"A": 1.2}
    assert book.refused == {"older": 1}


def test_a_tick_out_of_order_after_a_flush_moves_no_price_back() -> None:
    book = booked(tick(1.2, at=NOON + SECOND))
    book.take()
    book.offer(tick(1.0), BOTH, now=HEARD_AT, now_s=2.0)
    assert book.take() == []


def test_a_post_market_tick_out_of_order_after_a_flush_moves_no_price_back() -> None:
    book = booked(tick(1.2, at=eastern(17, 0, 1), hours=POST))
    assert taken(book) == {"A": 1.2}
    book.offer(tick(1.0, at=eastern(17, 0, 0), hours=POST), BOTH, now=eastern(17, 0, 1), now_s=2.0)
    assert book.take() == []
    assert book.refused == {"older": 1}


def test_of_two_prices_of_one_second_the_later_heard_is_taken() -> None:
    assert taken(booked(tick(1.0), tick(1.2))) == {"A": 1.2}


def test_the_rows_are_sorted_by_ticker() -> None:
    book = booked(tick(ticker="C"), tick(ticker="A"), tick(ticker="B"))
    assert [row.ticker for row in book.take()] == ["A", "B", "C"]


def test_what_was_taken_is_not_taken_again() -> None:
    book = booked(tick())
    assert len(book.take()) == 1
    assert book.take() == []


def test_an_unknown_ticker_is_counted_and_not_written() -> None:
    book = booked(tick(ticker="ZZZZ"))
    assert book.take() == []
    assert book.refused == {"unknown_ticker": 1}


def test_a_snapshot_that_is_days_old_proves_the_subscription_but_is_not_written() -> None:
    book = booked(tick(at=NOON - timedelta(days=4)))
    assert book.take() == []
    assert book.refused == {"outside_session": 1}
    assert book.seen["A"].heard_s == 1.0


def test_before_the_first_session_of_a_list_no_tick_is_written() -> None:
    assert booked(tick(), sessions=()).take() == []


def test_rows_that_could_not_be_written_come_again() -> None:
    book = booked(tick(1.0), tick(1.2, ticker="B"))
    book.give_back(book.take(), heard_at=HEARD_AT)
    assert taken(book) == {"A": 1.0, "B": 1.2}


def test_a_row_that_waited_for_the_database_is_not_called_confirmed_at_its_later_flush() -> None:
    book = booked(tick())
    for heard_at in (HEARD_AT, HEARD_AT + 60 * SECOND):
        book.give_back(book.take(), heard_at=heard_at)
    assert [row.heard_at for row in book.take()] == [HEARD_AT]


def test_a_newer_price_wins_over_one_given_back() -> None:
    book = booked(tick(1.0))
    rows = book.take()
    book.offer(tick(1.2, at=NOON + SECOND), BOTH, now=HEARD_AT, now_s=2.0)
    book.give_back(rows, heard_at=HEARD_AT)
    assert taken(book) == {"A": 1.2}


def test_regular_and_post_market_price_of_a_ticker_are_two_rows() -> None:
    book = booked(tick(1.0, at=eastern(15, 59)), tick(1.2, at=eastern(16, 1), hours=POST))
    assert [(row.kind, row.price_usd) for row in book.take()] == [("regular", 1.0), ("post", 1.2)]


@pytest.mark.parametrize(
    ("at", "hours", "kind"),
    [
        (eastern(9, 30), REGULAR, "regular"),
        (eastern(15, 59, 59), REGULAR, "regular"),
        (eastern(16, 5), REGULAR, "regular"),  # the closing auction
        (eastern(16, 5), POST, "post"),
        (eastern(16, 0), POST, "post"),
        (eastern(16, 15), REGULAR, "regular"),
        (eastern(16, 15, 1), REGULAR, None),
        (eastern(19, 59), POST, "post"),
        (eastern(23, 0), POST, None),
        (eastern(9, 29, 59), PRE, "pre"),
        (eastern(9, 29, 59), REGULAR, None),
        (eastern(3, 0), PRE, None),
        (eastern(9, 0, day=24), PRE, "pre"),  # of the session to come
        (eastern(9, 30, day=24), REGULAR, "regular"),  # our clock is late
        (eastern(22, 0), OVERNIGHT, None),
        (eastern(15, 59), POST, "regular"),  # asked in the evening, the last trade carries the hour's flag
        (eastern(15, 59), PRE, "regular"),  # an absent flag reads as 0
        (eastern(12, day=26), REGULAR, None),  # said REGULAR on a holiday: Thanksgiving
    ],
)
def test_the_time_decides_the_kind_and_the_flag_only_beside_a_session(
    at: datetime, hours: int, kind: str | None
) -> None:
    assert kind_of(tick(at=at, hours=hours), BOTH) == kind


@pytest.mark.parametrize("hours", [PRE, REGULAR, POST])
def test_at_midnight_of_a_market_without_end_every_tick_is_regular(hours: int) -> None:
    midnight = eastern(0, day=24)
    monday = Session(session_date=NOON.date(), opens_at=eastern(0), closes_at=midnight)
    tuesday = Session(session_date=NOON.date(), opens_at=midnight, closes_at=eastern(0, day=25))
    for at in (midnight - SECOND, midnight, midnight + SECOND, midnight + timedelta(hours=1)):
        assert kind_of(tick(at=at, hours=hours), (monday, tuesday)) == "regular"


@given(
    st.lists(
        st.tuples(
            st.sampled_from("AB"),
            st.integers(-3, 3),
            st.sampled_from([PRE, REGULAR, POST]),
            st.sampled_from(["", "take", "fail"]),
        ),
        max_size=40,
    )
)
def test_the_last_row_taken_of_a_ticker_and_kind_is_its_newest(steps: list[tuple[str, int, int, str]]) -> None:
    """Around the bell, with flushes that work and flushes that fail at any moment."""
    book = PriceBook("AB")
    newest: dict[tuple[str, str], datetime] = {}
    written: dict[tuple[str, str], datetime] = {}
    for price, (ticker, second, hours, then) in enumerate(steps, start=1):
        offered = tick(1000.0 + price, ticker=ticker, at=MONDAY.closes_at + second * SECOND, hours=hours)
        book.offer(offered, BOTH, now=MONDAY.closes_at, now_s=0.0)
        if kind := kind_of(offered, BOTH):
            key = (ticker, kind)
            newest[key] = max(newest.get(key, offered.price_time), offered.price_time)
        if then:
            rows = book.take()
            if then == "take":
                written |= {(row.ticker, row.kind): row.price_time for row in rows}
            else:
                book.give_back(rows, heard_at=HEARD_AT)
    written |= {(row.ticker, row.kind): row.price_time for row in book.take()}
    assert written == newest


def test_a_price_from_the_future_is_counted_and_true_trades_go_on() -> None:
    tomorrow = eastern(15, 59, day=24)
    book = PriceBook("A")
    for each in (tick(100.5, at=tomorrow), tick(100.0)):
        book.offer(each, BOTH, now=HEARD_AT, now_s=1.0)
    assert taken(book) == {"A": 100.0}
    assert book.refused == {"future": 1}


def jumped(*prices: float, seconds: Sequence[int] | None = None) -> tuple[list[float], PriceBook]:
    """Offer one price a second and take after each."""
    book = PriceBook("A")
    found: list[float] = []
    for second, price in zip(seconds or range(len(prices)), prices, strict=True):
        at = NOON + second * SECOND
        book.offer(tick(price, at=at), BOTH, now=at, now_s=1.0)
        found += taken(book).values()
    return found, book


def test_a_jump_that_nothing_confirms_is_never_taken() -> None:
    found, book = jumped(100.0, 0.01, 100.5)
    assert found == [100.0, 100.5]
    assert book.refused == {"jump": 1}


def test_a_jump_that_the_next_trade_confirms_is_taken_with_it() -> None:
    found, book = jumped(100.0, 210.0, 205.0, 206.0)
    assert found == [100.0, 205.0, 206.0]
    assert book.refused == {}


def test_a_jump_told_twice_is_not_confirmed_by_itself() -> None:
    found, _ = jumped(100.0, 210.0, 210.0, seconds=(0, 1, 1))
    assert found == [100.0]


def test_two_jumps_to_different_places_confirm_nothing() -> None:
    found, book = jumped(100.0, 210.0, 0.5, 100.0)
    assert found == [100.0, 100.0]
    assert book.refused == {"jump": 2}


def test_an_accepted_tick_is_told_as_which_price_it_was_taken() -> None:
    book = PriceBook("A")
    ticks = [tick(), tick(at=eastern(17), hours=POST), tick(at=NOON - SECOND), tick(at=NOON - timedelta(days=4))]
    told = [book.offer(each, BOTH, now=max(NOON, each.price_time), now_s=1.0) for each in ticks]
    assert told == ["regular", "post", None, None]


def a_quote(price: float = 10.0, *, at: datetime = NOON, ticker: str = "A", **more: Any) -> Quote:
    return Quote(ticker=ticker, current_price=price, price_time=at, **more)


def audited(*offers: Tick | Quote, hold_s: float | None = 10.0) -> PriceBook:
    """Offer ticks and quotes, one each second of the monotonic clock."""
    book = PriceBook("ABC", hold_s=hold_s)
    for second, each in enumerate(offers):
        if isinstance(each, Tick):
            book.offer(each, BOTH, now=max(HEARD_AT, each.price_time), now_s=float(second))
        else:
            book.offer_quote(each, BOTH, now_s=float(second))
    return book


def taken_quotes(book: PriceBook) -> dict[str, float]:
    return {row.ticker: row.price_usd for row in book.take_quotes()}


def test_a_quote_that_says_the_same_confirms_and_writes_nothing() -> None:
    book = audited(tick(24.53), a_quote(24.530000686645508))
    assert (book.audited, book.seen["A"].quoted_s) == ({"confirmed": 1}, 1.0)
    assert (taken_quotes(book), taken(book)) == ({}, {"A": 24.53})


def test_a_quote_of_a_later_trade_replaces_the_streams_price_and_the_row_that_waits() -> None:
    book = audited(tick(10.0), a_quote(10.5, at=NOON + SECOND, price_change=0.5, price_change_percent=5.0))
    assert (book.audited, taken(book)) == ({"newer": 1}, {})
    assert book.take_quotes() == [
        PriceRow(ticker="A", price_usd=10.5, change=0.5, change_percent=5.0, price_time=NOON + SECOND)
    ]
    assert book.take_quotes() == []


def test_a_quote_of_an_earlier_trade_changes_and_confirms_nothing() -> None:
    book = audited(tick(10.5, at=NOON + SECOND), a_quote(10.0))
    assert (book.audited, book.seen["A"].quoted_s) == ({"older": 1}, None)
    assert (taken_quotes(book), taken(book)) == ({}, {"A": 10.5})


def test_a_quote_of_the_same_second_at_another_price_is_taken_as_the_later_word() -> None:
    book = audited(tick(10.0), a_quote(10.5))
    assert (book.audited, taken_quotes(book), taken(book)) == ({"different": 1}, {"A": 10.5}, {})


def test_a_tick_after_a_quote_replaces_the_quotes_row_that_waits() -> None:
    book = audited(a_quote(10.5), tick(10.6, at=NOON + SECOND))
    assert (taken_quotes(book), taken(book)) == ({}, {"A": 10.6})


def test_a_tick_older_than_a_quote_moves_no_price_back() -> None:
    book = audited(a_quote(10.5, at=NOON + SECOND), tick(10.4))
    assert (taken_quotes(book), taken(book), book.refused) == ({"A": 10.5}, {}, {"older": 1})


def test_the_last_price_of_a_ticker_that_did_not_trade_today_is_written_and_confirmed_each_time() -> None:
    friday = eastern(16, 0, day=20)
    book = audited(a_quote(10.5, at=friday))
    assert taken_quotes(book) == {"A": 10.5}
    book.offer_quote(a_quote(10.5, at=friday), BOTH, now_s=5.0)
    assert taken_quotes(book) == {"A": 10.5}
    assert book.audited == {"first": 1, "confirmed": 1}


@pytest.mark.parametrize("empty", [{"current_price": None}, {"price_time": None}])
def test_a_quote_without_price_or_time_is_counted_and_says_nothing(empty: dict[str, Any]) -> None:
    book = audited(replace(a_quote(), **empty))
    assert (book.audited, taken_quotes(book), book.seen["A"].quoted_s) == ({"without_price": 1}, {}, None)


def test_a_ticker_left_out_is_unlisted_until_a_quote_speaks_of_it() -> None:
    book = audited()
    book.left_out("A")
    assert (book.seen["A"].is_unlisted, book.audited) == (True, {"unlisted": 1})
    book.offer_quote(a_quote(), BOTH, now_s=1.0)
    assert not book.seen["A"].is_unlisted


def test_quotes_that_could_not_be_written_come_again_unless_something_newer_has_come() -> None:
    book = audited(a_quote(1.0), a_quote(2.0, ticker="B"))
    rows = book.take_quotes()
    book.offer(tick(1.1, at=NOON + SECOND), BOTH, now=HEARD_AT, now_s=3.0)
    book.give_quotes_back(rows, heard_at=HEARD_AT)
    assert [(row.ticker, row.price_usd, row.heard_at) for row in book.take_quotes()] == [("B", 2.0, HEARD_AT)]


def at(second: int) -> datetime:
    return NOON + second * SECOND


def test_a_jump_waits_for_a_quote_and_is_written_when_one_confirms_it() -> None:
    book = audited(tick(100.0), tick(210.0, at=at(1)))
    assert (taken(book), list(book.doubtful)) == ({"A": 100.0}, ["A"])
    book.offer_quote(a_quote(209.0), BOTH, now_s=2.0)
    assert (taken(book), list(book.doubtful), book.refused) == ({"A": 210.0}, [], {})
    assert book.audited["jump_confirmed"] == 1


def test_a_jump_that_a_quote_of_its_time_contradicts_is_dropped_and_counted() -> None:
    book = audited(tick(100.0), tick(1.0, at=at(1)), a_quote(100.2, at=at(1)))
    assert (taken_quotes(book), taken(book)) == ({"A": 100.2}, {})
    assert (book.refused, book.audited["jump_denied"], list(book.doubtful)) == ({"jump": 1}, 1, [])


def test_a_quote_older_than_the_jump_decides_nothing() -> None:
    book = audited(tick(100.0), tick(210.0, at=at(1)), a_quote(100.0))
    assert (list(book.doubtful), book.refused, taken(book)) == (["A"], {}, {"A": 100.0})


@pytest.mark.parametrize(
    "support", [{"days_low": 99.0, "days_high": 215.0}, {"previous_close": 150.0, "days_low": 99.0, "days_high": 101.0}]
)
def test_day_range_and_previous_close_of_a_quote_support_a_jump(support: dict[str, Any]) -> None:
    book = audited(tick(100.0), tick(210.0, at=at(1)), a_quote(100.0, **support))
    assert (taken(book), book.refused, list(book.doubtful)) == ({"A": 210.0}, {}, [])


def test_a_jump_within_a_known_day_range_is_taken_at_once() -> None:
    book = audited(a_quote(100.0, days_low=99.0, days_high=215.0), tick(210.0, at=at(1)))
    assert taken(book) == {"A": 210.0}


def test_yesterdays_range_supports_nothing_today() -> None:
    yesterday = NOON - timedelta(days=1)
    book = audited(a_quote(100.0, at=yesterday, days_low=99.0, days_high=215.0), tick(210.0, at=at(1)))
    assert (taken(book), list(book.doubtful)) == ({}, ["A"])


def test_without_a_quote_a_second_trade_confirms_a_jump_when_the_hold_is_over() -> None:
    late = [tick(210.0 + second / 10, at=at(second)) for second in range(1, 13)]
    book = audited(tick(100.0), *late[:10])
    assert taken(book) == {"A": 100.0}
    book.offer(late[10], BOTH, now=at(11), now_s=11.0)
    assert (taken(book), list(book.doubtful), book.refused) == ({"A": 211.1}, [], {})


def test_the_first_price_of_all_is_held_against_its_own_previous_close_where_quotes_can_tell() -> None:
    first = tick(210.0, change=110.0, change_percent=110.0)
    assert taken(audited(first)) == {}
    assert taken(audited(first, a_quote(210.0))) == {"A": 210.0}
    assert taken(audited(first, hold_s=None)) == {"A": 210.0}


def test_a_price_that_is_no_jump_ends_the_doubt_of_the_one_before() -> None:
    book = audited(tick(100.0), tick(0.01, at=at(1)), tick(100.1, at=at(2)))
    assert (taken(book), book.refused, list(book.doubtful)) == ({"A": 100.1}, {"jump": 1}, [])


@given(st.lists(st.tuples(st.booleans(), st.integers(-100, 20), st.floats(9.0, 11.0)), max_size=30))
def test_whatever_comes_first_the_newest_of_stream_and_quotes_stands(steps: list[tuple[bool, int, float]]) -> None:
    book = PriceBook("A", hold_s=10.0)
    newest = None
    for is_quote, second, price in steps:
        time = at(second)
        newest = max(newest or time, time)
        if is_quote:
            book.offer_quote(a_quote(price, at=time), BOTH, now_s=1.0)
        else:
            book.offer(tick(price, at=time), BOTH, now=at(20), now_s=1.0)
    rows = [*book.take(), *book.take_quotes()]
    assert [row.price_time for row in rows] == ([newest] if steps else [])


def test_a_quote_that_nothing_known_supports_waits_for_a_second_one() -> None:
    book = audited(tick(100.0), a_quote(210.0, at=at(5)))
    assert (book.audited, list(book.doubtful), taken_quotes(book)) == ({"jump_held": 1}, ["A"], {})
    assert (book.seen["A"].price, book.seen["A"].quoted_s) == (100.0, None)
    book.offer_quote(a_quote(211.0, at=at(6)), BOTH, now_s=9.0)
    assert (list(book.doubtful), taken_quotes(book)) == ([], {"A": 211.0})


def test_a_quote_of_another_ticker_leaves_nothing_behind() -> None:
    wrong = a_quote(9.0, at=at(5), previous_close=8.0, days_low=8.0, days_high=9.0)
    book = audited(tick(100.0), wrong, tick(100.5, at=at(1)), a_quote(100.5, at=at(1)))
    assert (taken(book), taken_quotes(book), list(book.doubtful)) == ({"A": 100.5}, {}, [])
    assert (book.seen["A"].previous_close, book.seen["A"].day, book.seen["A"].odd_quote) == (None, None, None)


def test_a_quote_far_from_price_and_doubt_alike_decides_nothing() -> None:
    book = audited(tick(100.0), tick(210.0, at=at(1)), a_quote(9.0, at=at(5)))
    assert (book.audited, book.refused, list(book.doubtful)) == ({"jump_held": 1}, {}, ["A"])
    book.offer_quote(a_quote(209.0, at=at(6)), BOTH, now_s=9.0)
    assert (taken_quotes(book), list(book.doubtful)) == ({"A": 209.0}, [])


@pytest.mark.parametrize(("price", "contradicts"), [(100.0, False), (119.0, False), (121.0, True), (83.0, True)])
def test_a_quote_contradicts_what_is_known_when_it_is_a_fifth_away(price: float, contradicts: bool) -> None:
    assert audited(tick(100.0)).contradicts(a_quote(price)) is contradicts
    assert not audited().contradicts(a_quote(price))
    assert not audited(tick(100.0)).contradicts(replace(a_quote(), current_price=None))
