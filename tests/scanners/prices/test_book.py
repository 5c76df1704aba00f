from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.quotes import Tick
from market.sessions import Session
from scanners.prices.book import Coverage, PriceBook, coverage, kind_of
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


def covered(book: PriceBook, proven: str, *, now: datetime = NOON, opened_s: float = 1.0) -> Coverage:
    since = dict.fromkeys(proven, opened_s)
    return coverage(book, since, session_opens_at=MONDAY.opens_at, now=now, cycle_s=60.0)


def counted(book: PriceBook, proven: str, *, now: datetime = NOON) -> tuple[int, int, int, int]:
    counts = covered(book, proven, now=now).counts
    assert counts.total == len(book.seen)
    return counts.fresh, counts.unchanged, counts.no_trade, counts.unknown


def test_a_ticker_that_traded_within_the_cycle_is_fresh() -> None:
    assert counted(booked(tick()), "ABC", now=NOON + 60 * SECOND) == (1, 0, 2, 0)


def test_a_ticker_heard_before_on_a_live_connection_is_unchanged() -> None:
    found = covered(booked(tick()), "ABC", now=NOON + 61 * SECOND)
    assert (found.counts.fresh, found.counts.unchanged, found.counts.no_trade) == (0, 1, 2)
    assert found.unchanged_tickers == ("A",)


def test_without_a_proof_a_quiet_ticker_is_unknown() -> None:
    assert counted(booked(tick()), "", now=NOON + 61 * SECOND) == (0, 0, 0, 3)
    assert counted(booked(tick()), "", now=NOON) == (1, 0, 0, 2)


def test_a_ticker_known_only_by_an_old_snapshot_has_no_trade_and_confirms_nothing() -> None:
    """The table may hold another old price than the snapshot's."""
    found = covered(booked(tick(at=NOON - timedelta(days=4))), "ABC")
    assert (found.counts.no_trade, found.unchanged_tickers) == (3, ())


def test_a_ticker_not_heard_since_its_connection_opened_is_not_called_unchanged() -> None:
    found = covered(booked(tick()), "ABC", now=NOON + 61 * SECOND, opened_s=1.5)
    assert (found.counts.unchanged, found.counts.no_trade) == (0, 3)


def test_a_post_market_trade_does_not_make_the_price_fresh() -> None:
    at = eastern(17)
    assert counted(booked(tick(at=at, hours=POST)), "ABC", now=at) == (0, 0, 3, 0)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-200, 0))), st.sets(st.sampled_from("ABC")))
def test_the_four_counts_add_up_to_all_tickers(heard: list[tuple[str, int]], proven: set[str]) -> None:
    book = booked(*(tick(ticker=ticker, at=NOON + second * SECOND) for ticker, second in heard))
    assert sum(counted(book, "".join(proven))) == 3


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
