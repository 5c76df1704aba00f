from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import MinuteBar
from market.quotes import Tick
from market.sessions import Session
from scanners.prices.minutes import Line, MinuteBook
from tests.fix_scanners import MONDAY, NOON

SECOND = timedelta(seconds=1)
SETTLED = 66
"""Seconds after noon by which the minute of noon can be taken."""


class Heard:
    """A book that began listening a minute before noon, and what it is told at seconds from noon.

    The connection has been open all the time and is heard all the time, unless a test says otherwise.
    """

    def __init__(self, *, since: int = -60, sessions: tuple[Session, ...] = (MONDAY,)) -> None:
        self.book = MinuteBook(since=NOON + since * SECOND)
        self.sessions = sessions
        self.opened = since

    def tick(
        self,
        second: float,
        price: float,
        day_volume: int | None = None,
        *,
        heard: float | None = None,
        ticker: str = "F",
    ) -> None:
        """Tell of a trade at `second`, a second later or at `heard`."""
        at = second + 1 if heard is None else heard
        tick = Tick(ticker=ticker, price=price, price_time=NOON + second * SECOND, day_volume=day_volume)
        self.book.offer(tick, self.sessions, now=NOON + at * SECOND, now_s=at)

    def take(self, second: float, *, heard: float | None = None, is_ending: bool = False) -> list[MinuteBar]:
        line = Line(since_s=self.opened, heard_s=second if heard is None else heard)
        lines = {"F": line, "AAPL": line}
        return self.book.take(lines, now=NOON + second * SECOND, now_s=second, is_ending=is_ending)

    def bar(self, second: float, **options: float) -> MinuteBar:
        (bar,) = self.take(second, **options)  # type: ignore[arg-type]
        return bar


@pytest.fixture
def heard() -> Heard:
    return Heard()


def prices(bar: MinuteBar) -> tuple[float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close


def test_a_minute_is_open_high_low_close_and_the_difference_of_the_days_volumes(heard: Heard) -> None:
    heard.tick(-20, 9.9, 1000)
    for second, price, volume in ((1, 10.0, 1200), (20, 12.0, 1500), (40, 9.0, 1500), (59, 11.0, 1700)):
        heard.tick(second, price, volume)
    before, bar = heard.take(SETTLED)
    assert (before.minute, before.ticker, prices(before)) == (NOON - 60 * SECOND, "F", (9.9, 9.9, 9.9, 9.9))
    assert bar.minute == NOON
    assert bar.session_date == MONDAY.session_date
    assert prices(bar) == (10.0, 12.0, 9.0, 11.0)
    assert (bar.volume, bar.day_volume, bar.is_whole) == (700, 1700, True)


def test_the_first_minute_that_is_heard_of_a_ticker_has_no_known_volume(heard: Heard) -> None:
    heard.tick(10, 10.0, 1200)
    bar = heard.bar(SETTLED)
    assert (bar.volume, bar.day_volume, bar.is_whole) == (None, 1200, True)


def test_a_snapshot_of_an_old_trade_is_no_bar_but_tells_the_volume_that_the_next_minute_begins_with(
    heard: Heard,
) -> None:
    heard.tick(-61, 10.0, 1000, heard=-50)
    heard.tick(30, 10.5, 1040)
    bar = heard.bar(SETTLED)
    assert (bar.minute, bar.volume) == (NOON, 40)
    assert heard.book.left_out == {"before_start": 1}


def test_a_minute_waits_five_seconds_for_its_last_trades(heard: Heard) -> None:
    heard.tick(59, 10.0)
    assert heard.take(64.9) == []
    heard.tick(59.5, 11.0, heard=64.9)
    assert prices(heard.bar(65)) == (10.0, 11.0, 10.0, 11.0)


def test_a_bar_is_taken_once_and_again_when_a_late_trade_has_changed_it(heard: Heard) -> None:
    heard.tick(-1, 10.0, 1000)
    heard.tick(10, 10.0, 1100)
    assert len(heard.take(SETTLED)) == 2
    assert heard.take(SETTLED + 60) == []
    heard.tick(50, 9.0, 1150, heard=200)
    late = heard.bar(246)
    assert (prices(late), late.volume, late.is_whole) == ((10.0, 10.0, 9.0, 9.0), 150, True)


def test_the_same_trade_told_again_changes_nothing(heard: Heard) -> None:
    heard.tick(10, 10.0, 1100)
    heard.take(SETTLED)
    heard.tick(10, 10.0, 1100, heard=90)
    assert heard.take(126) == []


def test_a_trade_told_more_than_twenty_minutes_late_is_left_out_and_counted(heard: Heard) -> None:
    heard.tick(10, 10.0, heard=1210)
    heard.tick(20, 11.0, heard=1220.5)
    assert prices(heard.bar(1300)) == (10.0, 10.0, 10.0, 10.0)
    assert heard.book.left_out == {"late": 1}


def test_a_bar_that_the_next_minute_has_replaced_is_still_taken(heard: Heard) -> None:
    heard.tick(50, 10.0)
    heard.tick(61, 11.0)
    assert [(bar.minute, bar.close) for bar in heard.take(SETTLED)] == [(NOON, 10.0)]
    assert [(bar.minute, bar.close) for bar in heard.take(126)] == [(NOON + 60 * SECOND, 11.0)]


def test_the_closing_auction_is_in_no_bar_and_the_last_minute_ends_with_the_session() -> None:
    closing = Session(session_date=MONDAY.session_date, opens_at=MONDAY.opens_at, closes_at=NOON + 30 * SECOND)
    heard = Heard(sessions=(closing,))
    heard.tick(29, 10.0)
    heard.tick(30, 11.0)
    assert prices(heard.bar(35)) == (10.0, 10.0, 10.0, 10.0)
    assert heard.book.left_out == {"after_close": 1}


@pytest.mark.parametrize(
    ("opened", "last_heard"), [(0.5, 66.0), (-60, 59.0)], ids=["opened in the minute", "silent since before its end"]
)
def test_a_minute_that_was_not_heard_to_its_full_length_says_so(heard: Heard, opened: float, last_heard: float) -> None:
    heard.tick(-1, 10.0, 1000)
    heard.tick(10, 10.0, 1100)
    heard.opened = opened  # type: ignore[assignment]
    bar = heard.take(SETTLED, heard=last_heard)[-1]
    assert (bar.is_whole, bar.volume, bar.day_volume) == (False, None, 1100)


def test_a_ticker_without_a_proven_connection_has_no_whole_minute(heard: Heard) -> None:
    heard.tick(10, 10.0, 1100, ticker="SOHO")
    assert not heard.bar(SETTLED).is_whole


def test_after_a_gap_the_volume_is_known_once_the_day_was_told_anew(heard: Heard) -> None:
    """What was traded while nobody listened belongs to no minute."""
    heard.tick(10, 10.0, 1000)
    heard.tick(10, 10.0, 1000, ticker="AAPL")
    heard.opened = 90
    heard.tick(10, 10.0, 1000, heard=92, ticker="AAPL")  # the snapshot of the new connection
    for ticker in ("F", "AAPL"):
        heard.tick(130, 10.0, 1300, ticker=ticker)
    heard.tick(190, 10.0, 1310)
    bars = {(bar.ticker, bar.minute): bar for bar in heard.take(246)}
    assert bars["AAPL", NOON + 120 * SECOND].volume == 300
    assert bars["F", NOON + 120 * SECOND].volume is None
    assert bars["F", NOON + 180 * SECOND].volume == 10


@pytest.mark.parametrize(("before", "after"), [(1000, 900), (None, 1000), (1000, None)])
def test_a_volume_that_falls_or_is_not_told_is_not_known(heard: Heard, before: int | None, after: int | None) -> None:
    heard.tick(-1, 10.0, before)
    heard.tick(1, 10.0, after)
    assert heard.take(SETTLED)[-1].volume is None


def test_a_second_told_again_with_less_volume_takes_none_from_the_day(heard: Heard) -> None:
    heard.tick(-1, 10.0, 1000)
    heard.tick(59, 11.0, 1100)
    heard.tick(59, 11.0, 1050)
    assert (bar := heard.take(SETTLED)[-1]).volume == 100
    assert bar.day_volume == 1100


def test_yesterdays_volume_is_not_where_today_begins() -> None:
    days = [
        Session(session_date=(NOON + days).date(), opens_at=NOON + days, closes_at=NOON + days + 60 * SECOND)
        for days in (timedelta(0), timedelta(days=1))
    ]
    heard = Heard(sessions=tuple(days))
    heard.tick(50, 10.0, 1000)
    heard.take(SETTLED)
    heard.tick(86_410, 10.0, 1100)
    assert (bar := heard.bar(86_466)).volume is None
    assert bar.session_date == days[1].session_date


def test_the_end_takes_what_is_there_and_calls_it_a_part(heard: Heard) -> None:
    heard.tick(-1, 10.0, 1000)
    heard.tick(30, 11.0, 1100)
    bars = heard.take(40, is_ending=True)
    assert [(bar.is_whole, bar.volume) for bar in bars] == [(True, None), (False, None)]
    assert heard.take(200, is_ending=True) == []


def by_hand(trades: list[tuple[int, int, int]]) -> Iterator[tuple[datetime, float, float, float, float, int]]:
    """Make the bars of (second, cents, day's volume) in the plainest way."""
    known = 0
    for minute in sorted({second // 60 for second, _, _ in trades}):
        own = [trade for trade in trades if trade[0] // 60 == minute]
        cents = [price for _, price, _ in own]
        yield NOON + minute * 60 * SECOND, cents[0], max(cents), min(cents), cents[-1], own[-1][2] - known
        known = own[-1][2]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 999), st.integers(0, 500)), min_size=1), st.integers(1, 200)
)
def test_whenever_bars_are_taken_the_last_word_of_each_minute_is_what_counting_by_hand_gives(
    steps: list[tuple[int, int, int]], take_every: int
) -> None:
    """Bars follow from the trades alone, however the looks at them fall between."""
    heard, second, volume, trades = Heard(), 0, 0, []
    heard.tick(-60, 1.0, 0)
    last: dict[datetime, MinuteBar] = {}
    for number, (later, cents, shares) in enumerate(steps):
        second, volume = second + later, volume + shares
        trades.append((second, cents, volume))
        heard.tick(second, float(cents), volume)
        if number % take_every == 0:
            last |= {bar.minute: bar for bar in heard.take(second + 1)}
    last |= {bar.minute: bar for bar in heard.take(second + 66)}
    del last[NOON - 60 * SECOND]
    found = [(bar.minute, *prices(bar), bar.volume) for bar in sorted(last.values(), key=lambda bar: bar.minute)]
    assert found == list(by_hand(trades))
