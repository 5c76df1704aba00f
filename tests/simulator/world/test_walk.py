from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import FixByHand
from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.world.listings import Listing
from simulator.world.walk import Market, digits_of

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
FRIDAY_CLOSE_S = int(datetime(2026, 11, 20, 21, 0, tzinfo=UTC).timestamp())
MONDAY_OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
XNYS = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)

BIG = Listing(
    symbol="BIG",
    name="Big Inc.",
    exchange="NMS",
    kind="Common",
    price=100.0,
    change=1.5,
    daily_volume=10_000_000,
    market_cap_usd=None,
)
PENNY = replace(BIG, symbol="PENNY", price=0.5, change=-0.01, daily_volume=900_000_000)
DEAD = replace(BIG, symbol="DEAD", daily_volume=10)


def market(*listings: Listing, now: datetime = NOON, seed: int = 1) -> Market:
    return Market(listings or (BIG, PENNY, DEAD), calendar=XNYS, seed=seed, now=now)


def run(practice: Market, seconds: int, *, since: datetime = NOON) -> list[set[str]]:
    return [
        {stock.listing.symbol for stock in practice.advance(since + timedelta(seconds=step))}
        for step in range(1, seconds + 1)
    ]


def test_a_ticker_starts_at_the_listing_s_price_change_and_volume() -> None:
    stock = market().stocks["BIG"]

    assert (stock.price, stock.previous_close, stock.volume) == (100.0, 98.5, 10_000_000)
    assert stock.change == pytest.approx(1.5)
    assert stock.change_percent == pytest.approx(100 * 1.5 / 98.5)


def test_a_liquid_ticker_trades_each_second_and_a_dead_one_never() -> None:
    practice = market()
    trades = run(practice, 60)

    assert all("BIG" in names for names in trades)
    assert not any("DEAD" in names for names in trades)
    assert practice.stocks["DEAD"].price == 100.0


def test_after_an_hour_of_trades_each_day_still_adds_up() -> None:
    practice = market()
    volume = practice.stocks["BIG"].volume
    for step in range(1, 3601):
        for stock in practice.advance(NOON + timedelta(seconds=step)):
            assert stock.low <= min(stock.open, stock.price) <= max(stock.open, stock.price) <= stock.high
            assert stock.trade_time_s == practice.now_s
        assert practice.stocks["BIG"].volume > volume
        volume = practice.stocks["BIG"].volume


def test_prices_move_on_ticks_of_a_cent_and_below_a_dollar_of_a_hundredth_of_one() -> None:
    practice = market()
    seen: dict[str, set[float]] = {"BIG": set(), "PENNY": set()}
    for step in range(1, 301):
        practice.advance(NOON + timedelta(seconds=step))
        for symbol, prices in seen.items():
            prices.add(practice.stocks[symbol].price)

    assert all(price == round(price, 2) for price in seen["BIG"])
    assert all(price == round(price, 4) for price in seen["PENNY"])
    assert len(seen["BIG"]) > 5
    assert len(seen["PENNY"]) > 2
    assert (digits_of(1.0), digits_of(0.9999)) == (2, 4)


def test_the_same_seed_gives_the_same_walk_and_another_seed_another() -> None:
    walks = [market(seed=seed) for seed in (7, 7, 8)]
    for walk in walks:
        run(walk, 120)

    prices = [walk.stocks["BIG"].value for walk in walks]
    assert prices[0] == prices[1] != prices[2]


def test_nobody_trades_twice_in_a_second_or_when_the_clock_goes_back() -> None:
    practice = market()

    assert practice.advance(NOON + timedelta(seconds=1, milliseconds=100))
    assert practice.advance(NOON + timedelta(seconds=1, milliseconds=900)) == []
    assert practice.advance(NOON) == []


def test_in_an_open_market_each_last_trade_is_of_this_session() -> None:
    just_open = market(now=MONDAY_OPEN + timedelta(seconds=5))

    assert all(MONDAY_OPEN.timestamp() <= stock.trade_time_s for stock in just_open.stocks.values())


def test_in_a_closed_market_only_the_canary_trades_and_last_trades_are_of_friday() -> None:
    practice = market(now=SUNDAY)
    trades = run(practice, 30, since=SUNDAY)

    assert set().union(*trades) == {"BTC-USD"}
    assert sum("BTC-USD" in names for names in trades) == 15  # each two seconds
    assert practice.stocks["BIG"].trade_time_s <= FRIDAY_CLOSE_S
    assert practice.phase == "CLOSED"


def test_the_open_prints_everybody_and_makes_the_last_price_the_previous_close() -> None:
    practice = market(now=MONDAY_OPEN - timedelta(seconds=2))
    assert practice.phase == "PRE"
    practice.advance(MONDAY_OPEN - timedelta(seconds=1))

    opened = practice.advance(MONDAY_OPEN + timedelta(milliseconds=20))

    assert {"BIG", "PENNY", "DEAD"} <= {stock.listing.symbol for stock in opened}
    stock = practice.stocks["BIG"]
    assert (stock.previous_close, stock.open, stock.high, stock.low) == (100.0, 100.0, 100.0, 100.0)
    assert stock.volume < 10_000_000
    assert stock.trade_time_s == MONDAY_OPEN.timestamp()
    assert stock.change == 0
    assert practice.is_open


def traded(practice: Market, seconds: int) -> list[set[str]]:
    since = datetime.fromtimestamp(practice.now_s, UTC)
    return run(practice, seconds, since=since)


def test_a_halted_ticker_stands_still_until_it_is_resumed() -> None:
    practice = market()
    practice.halt("BIG")
    price = practice.stocks["BIG"].price

    assert not any("BIG" in names for names in traded(practice, 30))
    assert practice.stocks["BIG"].price == price
    practice.resume("BIG")
    assert any("BIG" in names for names in traded(practice, 5))


def test_a_ticker_halted_over_night_does_not_open() -> None:
    practice = market(now=MONDAY_OPEN - timedelta(seconds=2))
    practice.halt("BIG")

    opened = practice.advance(MONDAY_OPEN)

    assert "BIG" not in {stock.listing.symbol for stock in opened}
    stock = practice.stocks["BIG"]
    assert (stock.volume, stock.price, stock.previous_close) == (0, 100.0, 100.0)
    assert stock.trade_time_s <= FRIDAY_CLOSE_S


def test_a_ticker_that_the_lists_leave_out_trades_on() -> None:
    practice = market()
    practice.unlist("BIG")
    assert not practice.stocks["BIG"].in_lists
    assert any("BIG" in names for names in traded(practice, 5))
    practice.relist("BIG")
    assert practice.stocks["BIG"].in_lists


def test_a_gap_in_the_session_is_one_trade() -> None:
    practice = market()
    practice.gap("BIG", -20)
    stock = practice.stocks["BIG"]

    assert (stock.price, stock.low, stock.high, stock.previous_close) == (80.0, 80.0, 100.0, 98.5)
    assert stock.trade_time_s == practice.now_s


def test_a_gap_over_night_is_the_next_open() -> None:
    practice = market(now=SUNDAY)
    practice.gap("BIG", 10)
    assert practice.stocks["BIG"].price == 100.0

    practice.advance(MONDAY_OPEN)

    stock = practice.stocks["BIG"]
    assert (stock.open, stock.low, stock.price, stock.previous_close) == (110.0, 110.0, 110.0, 100.0)


def test_on_the_ex_date_the_price_falls_by_the_dividend() -> None:
    practice = market(now=SUNDAY)
    practice.pay_dividend("BIG", 2.5)
    practice.advance(MONDAY_OPEN)
    stock = practice.stocks["BIG"]

    assert (stock.open, stock.previous_close) == (97.5, 100.0)
    assert stock.dividends == ((int(MONDAY_OPEN.timestamp()), 2.5),)


def test_a_split_restates_the_day_and_leaves_the_change_as_it_was() -> None:
    practice = market()
    percent = practice.stocks["BIG"].change_percent
    practice.split("BIG", 5, 1)
    stock = practice.stocks["BIG"]

    assert (stock.price, stock.previous_close, stock.volume) == (20.0, 19.7, 50_000_001)  # one trade shows it
    assert stock.change_percent == pytest.approx(percent)
    assert stock.split_ratio == 5
    traded(practice, 5)
    assert 19 < stock.price < 21


def test_a_reverse_split_of_a_penny_stock_moves_its_tick_to_the_cent() -> None:
    practice = market()
    practice.split("PENNY", 1, 10)

    assert (practice.stocks["PENNY"].price, practice.stocks["PENNY"].digits) == (5.0, 2)


def test_a_new_listing_trades_from_its_turn_on() -> None:
    practice = market()
    practice.list_new(replace(BIG, symbol="IPO", price=30.0))

    assert practice.stocks["IPO"].volume == 0
    assert all("IPO" in names for names in traded(practice, 5))
    assert practice.stocks["IPO"].open == 30.0


def test_a_renamed_ticker_trades_on_with_its_past_under_the_new_symbol() -> None:
    practice = market()
    stock = practice.stocks["BIG"]
    practice.rename("BIG", "LARGE")

    assert "BIG" not in practice.stocks
    assert practice.stocks["LARGE"] is stock
    assert (stock.listing.symbol, stock.origin) == ("LARGE", "BIG")
    assert any("LARGE" in names for names in traded(practice, 3))


def test_a_delisted_ticker_is_gone() -> None:
    practice = market()
    practice.delist("BIG")

    assert "BIG" not in practice.stocks
    assert practice.delisted == {"BIG"}
    assert not any("BIG" in names for names in traded(practice, 3))


def test_events_that_cannot_be_say_what_would_be_right() -> None:
    practice = market()
    events: list[Callable[[], None]] = [
        lambda: practice.halt("NO-SUCH"),
        lambda: practice.delist("BTC-USD"),
        lambda: practice.split("BIG", 0, 1),
        lambda: practice.split("BIG", 2, 2),
        lambda: practice.gap("BIG", -100),
        lambda: practice.pay_dividend("BIG", 1_000),
        lambda: practice.rename("BIG", "PENNY"),
        lambda: practice.list_new(BIG),
    ]
    for event in events:
        with pytest.raises(FixByHand, match="; "):
            event()
    assert practice.stocks["BIG"].price == 100.0


def test_the_tape_holds_the_day_s_trades_since_the_start() -> None:
    practice = market()
    stock = practice.stocks["BIG"]
    volume = stock.volume
    traded(practice, 180)
    minutes = stock.tape.bars()

    assert [bar.at_s - int(NOON.timestamp()) for bar in minutes] == [0, 60, 120, 180]
    assert sum(bar.volume for bar in minutes) == stock.volume - volume
    assert minutes[-1].close == stock.price
    assert stock.tape.before is not None
    assert stock.tape.before.volume == volume


def test_before_the_open_the_trading_day_is_already_the_next_one() -> None:
    monday = (int(MONDAY_OPEN.timestamp()), int(MONDAY_OPEN.timestamp()) + 23_400)

    assert market(now=MONDAY_OPEN - timedelta(hours=1)).trading_day() == monday
    assert market(now=NOON).trading_day() == monday
    assert market(now=SUNDAY).trading_day()[1] == FRIDAY_CLOSE_S


@pytest.mark.parametrize(
    ("event", "details"),
    [
        ("split", {"new": 10**400, "old": 1}),
        ("split", {"new": 10**14, "old": 1}),
        ("split", {"new": 1, "old": 10**14}),
        ("gap", {"percent": 1e40}),
        ("gap", {"percent": float("nan")}),
        ("gap", {"percent": -99.99999}),
        ("gap", {"percent": -100.0}),
        ("pay_dividend", {"amount_usd": 99.99999}),
        ("rename", {"new_symbol": ""}),
        ("rename", {"new_symbol": "A B"}),
    ],
)
def test_an_event_that_would_leave_no_price_or_no_ticker_is_refused_and_changes_nothing(
    event: str, details: dict[str, Any]
) -> None:
    practice = market()
    before = repr(practice.stocks["BIG"]).partition("tape=")

    with pytest.raises(FixByHand):
        getattr(practice, event)("BIG", **details)
    assert repr(practice.stocks["BIG"]).partition("tape=")[0] == before[0]
    traded(practice, 2)


def test_a_jump_over_one_dollar_moves_the_tick_at_once() -> None:
    practice = market()
    practice.gap("PENNY", 500.0)

    assert (practice.stocks["PENNY"].price, practice.stocks["PENNY"].digits) == (3.0, 2)


def test_after_a_split_the_day_s_bars_are_in_whole_ticks_as_the_quote_is() -> None:
    practice = market()
    traded(practice, 90)
    practice.split("BIG", 3, 1)
    stock = practice.stocks["BIG"]
    assert stock.tape.before is not None
    bars = [stock.tape.before, *stock.tape.bars()]

    assert min(bar.low for bar in bars) == pytest.approx(stock.low, rel=1e-6)
    assert max(bar.high for bar in bars) == pytest.approx(stock.high, rel=1e-6)
    assert sum(bar.volume for bar in bars) == pytest.approx(stock.volume, abs=len(bars))
