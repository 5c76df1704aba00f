from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from market.quotes import Quote
from scanners.prices.book import PriceBook
from scanners.prices.coverage import Coverage, Moment, coverage
from tests.fix_scanners import MONDAY, NOON
from tests.scanners.prices.test_book import BOTH, POST, booked, eastern, tick

SECOND = timedelta(seconds=1)
LATER = NOON + 61 * SECOND


def covered(
    book: PriceBook, proven: str, *, seconds: float = 0.0, opened_s: float = 1.0, opened: str = "ABC"
) -> Coverage:
    """Return the coverage so many seconds after noon, which is second 1 of the monotonic clock."""
    moment = Moment(
        now=NOON + seconds * SECOND,
        now_s=1.0 + seconds,
        cycle_s=60.0,
        session_opens_at=MONDAY.opens_at,
        opened_s=dict.fromkeys(opened, opened_s),
        proven=frozenset(proven),
    )
    return coverage(book, moment)


def quoted(book: PriceBook, *, at_s: float, price: float = 10.0, seconds: int = 0, ticker: str = "A") -> PriceBook:
    quote = Quote(ticker=ticker, current_price=price, price_time=NOON + seconds * SECOND)
    book.offer_quote(quote, BOTH, now_s=at_s)
    return book


def test_a_ticker_that_traded_within_the_cycle_is_fresh() -> None:
    found = covered(booked(tick()), "ABC", seconds=60)
    assert found.why == {"fresh_traded": 1, "unknown_unheard": 2}
    assert (found.counts.fresh, found.counts.unknown, found.counts.total) == (1, 2, 3)


def test_a_ticker_heard_before_on_a_live_connection_is_unchanged() -> None:
    found = covered(booked(tick()), "ABC", seconds=61)
    assert found.why == {"unchanged_heard": 1, "unknown_unheard": 2}
    assert found.unchanged_tickers == ("A",)


def test_a_quiet_ticker_whose_canary_is_not_heard_is_unknown() -> None:
    assert covered(booked(tick()), "", seconds=61).why == {"unknown_unproven": 3}
    assert covered(booked(tick()), "", seconds=60).why == {"fresh_traded": 1, "unknown_unproven": 2}


def test_a_quiet_ticker_without_a_connection_is_unknown() -> None:
    assert covered(booked(tick()), "", seconds=61, opened="").why == {"unknown_disconnected": 3}


def test_a_ticker_known_only_by_an_old_snapshot_has_no_trade_with_its_age_and_confirms_nothing() -> None:
    """The table may hold another old price than the snapshot's."""
    found = covered(booked(tick(at=NOON - timedelta(days=4))), "ABC")
    assert found.why == {"no_trade_heard": 1, "unknown_unheard": 2}
    assert found.unchanged_tickers == ()
    assert found.age_s == {"p50": 345_600.0, "p90": 345_600.0, "max": 345_600.0}


def test_a_ticker_not_heard_since_its_connection_opened_is_unknown_until_a_quote_confirms_it() -> None:
    book = booked(tick())
    assert covered(book, "ABC", seconds=200, opened_s=1.5).why == {"unknown_unheard": 3}
    quoted(book, at_s=1.6)
    assert covered(book, "ABC", seconds=200, opened_s=1.5).why == {"unchanged_quoted": 1, "unknown_unheard": 2}


def test_a_quote_of_this_cycle_speaks_for_a_ticker_whose_connection_is_lost() -> None:
    book = quoted(booked(tick()), at_s=101.0)
    assert covered(book, "", seconds=160, opened="").why == {"unknown_disconnected": 2, "unchanged_quoted": 1}
    assert covered(book, "", seconds=161, opened="").why == {"unknown_disconnected": 3}


def test_a_quote_that_brings_a_trade_makes_a_ticker_fresh_while_the_stream_is_mute() -> None:
    book = quoted(booked(), at_s=100.0, seconds=95)
    assert covered(book, "", seconds=100, opened="").counts.fresh == 1


def test_a_quote_of_an_old_trade_says_that_there_was_none_today() -> None:
    book = quoted(booked(), at_s=1.0, seconds=-86_400)
    found = covered(book, "ABC")
    assert found.why == {"no_trade_quoted": 1, "unknown_unheard": 2}
    assert found.age_s["max"] == 86_400.0


def test_a_ticker_that_neither_stream_nor_quotes_know_has_no_trade() -> None:
    book = booked()
    book.left_out("A")
    assert covered(book, "ABC").why == {"no_trade_unlisted": 1, "unknown_unheard": 2}
    assert covered(book, "ABC").age_s == {"p50": None, "p90": None, "max": None}


def test_a_post_market_trade_does_not_make_the_price_fresh() -> None:
    book = booked(tick(at=eastern(17), hours=POST))
    assert covered(book, "ABC", seconds=5 * 3600).why == {"no_trade_heard": 1, "unknown_unheard": 2}


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-200, 0))),
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-200_000, 0))),
    st.sets(st.sampled_from("ABC")),
    st.sets(st.sampled_from("ABC")),
)
def test_counts_and_reasons_add_up_to_all_tickers(
    heard: list[tuple[str, int]], asked: list[tuple[str, int]], opened: set[str], proven: set[str]
) -> None:
    book = booked(*(tick(ticker=ticker, at=NOON + second * SECOND) for ticker, second in heard))
    for ticker, second in asked:
        quoted(book, at_s=1.0, ticker=ticker, seconds=second)
    found = covered(book, "".join(proven & opened), opened="".join(opened))
    counts = found.counts
    assert counts.fresh + counts.unchanged + counts.no_trade + counts.unknown == counts.total == 3
    assert sum(found.why.values()) == 3
    for state in ("fresh", "unchanged", "no_trade", "unknown"):
        told = sum(count for why, count in found.why.items() if why.startswith(state))
        assert told == getattr(counts, state)
