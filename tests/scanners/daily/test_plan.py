from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core.settings import Market
from market.quotes import Quote
from market.sessions import Session, build_calendar
from scanners.daily import plan
from scanners.daily.plan import Left, Tally, bar_of
from storage.daily_bars import DailyBar
from storage.daily_progress import Standing
from tests.fix_scanners import MONDAY, NOON

TODAY = MONDAY.session_date
FRIDAY = date(2026, 11, 20)
CALENDAR = build_calendar(Market(), read=lambda path: path.read_text())


def a_quote(at: datetime | None = MONDAY.closes_at, **more: Any) -> Quote:
    numbers: dict[str, Any] = {
        "open_price": 10.0,
        "days_high": 12.0,
        "days_low": 9.0,
        "current_price": 11.0,
        "volume": 500,
    }
    return Quote(ticker="A", price_time=at, **(numbers | more))


def quoted(quote: Quote, *, last_close: float | None = 10.0, bar_taken: bool = True, **standing: Any) -> Any:
    held = {"bars_through": FRIDAY} | standing
    found = plan.quoted(
        quote,
        Standing(ticker="A", **held),
        session=MONDAY,
        before=FRIDAY,
        last_close=last_close,
        bar_taken=bar_taken,
    )
    return found.bar, found.chart_need, found.bars_through


def test_the_bars_are_in_once_hardly_one_of_them_waits_for_a_chart() -> None:
    held = [Standing(ticker=str(number), bar="written") for number in range(18)]
    held += [Standing(ticker="still", bar="no_trade"), Standing(ticker="refused")]
    refused = Left((), ("1", "2"), ("1", "refused", "still"))
    assert plan.bars_are_in(held, refused), "a past to be reloaded has its bar of the session"
    assert not plan.bars_are_in(held, Left(("refused",), (), ()))
    traded = [plan.has_traded(each, TODAY) for each in held[-3:]]
    assert traded == [True, False, False]
    assert plan.has_traded(Standing(ticker="late", bar="of_another_session", bars_through=TODAY), TODAY)
    late = [Standing(ticker=str(number), bar="of_another_session") for number in range(3)]
    assert not plan.bars_are_in([*late, *held[3:]], Left((), (), ("0", "1", "2")))
    assert plan.bars_are_in([*late, *held[3:]], Left((), (), ("0", "1")))


def test_the_bar_of_a_session_is_the_quote_after_its_close() -> None:
    assert bar_of(a_quote(), MONDAY, CALENDAR) == DailyBar(
        ticker="A",
        session_date=TODAY,
        open=10.0,
        high=12.0,
        low=9.0,
        close=11.0,
        adj_close=None,
        volume=500,
        source="quote",
    )


@pytest.mark.parametrize(
    "quote",
    [
        a_quote(MONDAY.opens_at - timedelta(days=3)),
        a_quote(MONDAY.closes_at + timedelta(hours=17)),  # the next morning's first trades
        a_quote(MONDAY.closes_at + timedelta(minutes=15, seconds=1)),
        a_quote(None),
        a_quote(volume=0),
        a_quote(volume=None),
        a_quote(open_price=None),
        a_quote(days_high=None),
        a_quote(days_low=None),
        a_quote(current_price=None),
    ],
)
def test_a_ticker_that_did_not_trade_in_the_session_gets_no_bar(quote: Quote) -> None:
    assert bar_of(quote, MONDAY, CALENDAR) is None


def test_the_closing_auctions_late_print_belongs_to_the_session() -> None:
    assert bar_of(a_quote(MONDAY.closes_at + timedelta(minutes=14)), MONDAY, CALENDAR) is not None


def test_a_market_without_end_gets_no_bar_from_the_first_trade_of_the_day_after() -> None:
    calendar = build_calendar(Market(calendar="always"), read=lambda path: path.read_text())
    session = calendar.day(TODAY).session
    assert session is not None
    assert bar_of(a_quote(session.closes_at - timedelta(seconds=1)), session, calendar) is not None
    assert bar_of(a_quote(session.closes_at), session, calendar) is None


def test_a_session_of_minutes_gets_bars_under_its_own_label() -> None:
    """The sessions of a calendar file may be labelled with other dates than the real one."""
    label = date(2026, 12, 24)
    session = Session(session_date=label, opens_at=NOON, closes_at=NOON + timedelta(minutes=3))
    bar = bar_of(a_quote(NOON + timedelta(minutes=1)), session, CALENDAR)
    assert bar is not None
    assert bar.session_date == label


def test_a_ticker_whose_past_is_known_needs_no_chart() -> None:
    assert quoted(a_quote(previous_close=10.0)) == ("written", None, TODAY)
    assert quoted(a_quote(previous_close=10.004)) == ("written", None, TODAY), "rounded to cents"
    assert quoted(a_quote(previous_close=None)) == ("written", None, TODAY)
    assert quoted(a_quote(), last_close=None) == ("written", None, TODAY)


@pytest.mark.parametrize(
    ("need", "quote", "standing"),
    [
        ("new", a_quote(), {"bars_through": None}),
        ("gap", a_quote(), {"bars_through": date(2026, 11, 19)}),
        ("previous_close", a_quote(previous_close=5.0), {}),  # a split 2:1
        ("previous_close", a_quote(previous_close=10.02), {}),
        ("dividend", a_quote(), {"ex_dividend_date": TODAY}),
    ],
)
def test_a_chart_is_needed_where_the_past_is_not_known_or_another(
    need: str, quote: Quote, standing: dict[str, Any]
) -> None:
    assert quoted(quote, **standing) == ("written", need, None)


def test_a_day_without_a_trade_is_no_gap() -> None:
    old = a_quote(MONDAY.opens_at - timedelta(days=4), previous_close=3.0)
    assert quoted(old, bar_taken=False) == ("no_trade", None, TODAY)


def test_a_quote_of_the_next_morning_leaves_the_day_to_the_chart() -> None:
    assert quoted(a_quote(MONDAY.closes_at + timedelta(hours=17)), bar_taken=False) == (
        "of_another_session",
        "gap",
        None,
    )


def test_a_dividend_counts_once_the_shares_go_without_it() -> None:
    assert plan.dividend_need(TODAY, FRIDAY, TODAY) == "dividend"
    assert plan.dividend_need(FRIDAY, FRIDAY, TODAY) is None
    assert plan.dividend_need(TODAY + timedelta(days=1), FRIDAY, TODAY) is None
    assert plan.dividend_need(TODAY, None, TODAY) is None


def test_a_ticker_without_a_quote_is_told_of_by_its_chart() -> None:
    assert plan.without_quote(Standing(ticker="A"), "unknown").chart_need == "new"
    assert plan.without_quote(Standing(ticker="A", bars_through=FRIDAY), "refused: x").chart_need == "gap"


def test_who_was_never_asked_is_first_then_the_oldest_then_the_most_liquid() -> None:
    at = datetime(2026, 11, 20, 22, tzinfo=UTC)
    rows = [
        Standing(ticker="A", session=TODAY, quote="done", fundamentals_at=at, dollar_volume_usd=9e9),
        Standing(
            ticker="B", session=TODAY, quote="done", fundamentals_at=at + timedelta(hours=1), dollar_volume_usd=1e9
        ),
        Standing(ticker="C", session=TODAY, quote="done", fundamentals_at=at - timedelta(days=1)),
        Standing(ticker="D", session=TODAY, quote="done", dollar_volume_usd=1.0),
        Standing(ticker="E", session=TODAY, quote="done", dollar_volume_usd=2.0),
        Standing(ticker="F", session=TODAY, quote="done", fundamentals="done", chart_need="new"),
        Standing(ticker="G", session=FRIDAY, quote="done", fundamentals="done", chart_need="gap"),
    ]
    assert plan.left_of(rows, TODAY) == Left(quotes=("G",), fundamentals=("E", "D", "C", "A", "B"), charts=("F",))
    assert not plan.left_of(rows, TODAY).is_empty


def test_a_session_that_is_through_has_nothing_left() -> None:
    rows = [
        Standing(ticker="A", session=TODAY, quote="done", fundamentals="done"),
        Standing(ticker="B", session=TODAY, quote="done", fundamentals="not_found", chart_need="gap", chart="delisted"),
    ]
    assert plan.left_of(rows, TODAY).is_empty
    assert plan.tally(rows, TODAY) == Tally(updated=1, named=1, left=0)
    assert plan.tally([*rows, Standing(ticker="C")], TODAY) == Tally(updated=1, named=1, left=1)


def test_the_first_night_takes_twice_the_requests_of_a_later_one() -> None:
    new = [Standing(ticker=f"T{number}") for number in range(8782)]
    held = [Standing(ticker=each.ticker, session=FRIDAY, quote="done", bars_through=FRIDAY) for each in new]
    assert plan.requests_ahead(new, TODAY, before=FRIDAY, batch_size=100) == 88 + 8782 + 8782
    assert plan.requests_ahead(held, TODAY, before=FRIDAY, batch_size=100) == 88 + 8782
    through = [Standing(ticker=each.ticker, session=TODAY, quote="done", fundamentals="done") for each in new]
    assert plan.requests_ahead(through, TODAY, before=FRIDAY, batch_size=100) == 0


def test_days_on_which_the_machine_was_off_are_named() -> None:
    assert plan.session_before(CALENDAR, MONDAY) == FRIDAY
    assert plan.missed(CALENDAR, MONDAY, last_done=None) == []
    assert plan.missed(CALENDAR, MONDAY, last_done=FRIDAY) == []
    assert plan.missed(CALENDAR, MONDAY, last_done=date(2026, 11, 18)) == [date(2026, 11, 19), FRIDAY]
    assert len(plan.missed(CALENDAR, MONDAY, last_done=date(2020, 1, 2))) == plan.MOST_NAMED
