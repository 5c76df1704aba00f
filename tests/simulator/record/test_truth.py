from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.record.truth import Sent, Truth
from simulator.world import listings
from simulator.world.walk import Market, Stock
from tests.fix_simulator import NOON

START_S = int(NOON.timestamp())


@pytest.fixture
def market() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.chosen(["AAPL", "F"]), calendar=calendar, seed=1, now=NOON)


def print_at(market: Market, symbol: str, price: float, second: int) -> Stock:
    """Let a ticker trade at a price of ours."""
    stock = market.stocks[symbol]
    stock.print_trade(value=price, size=1, at_s=START_S + second)
    return stock


def book(market: Market, *, budget_mb: float = 1.0) -> Truth:
    """AAPL trades at 100 to 104 in the seconds 1 to 5, F at 10 in the second 3."""
    print_at(market, "AAPL", 99.0, -50)
    print_at(market, "F", 9.0, -60)
    truth = Truth(market, budget_mb=budget_mb)
    for second in range(1, 6):
        traded = [print_at(market, "AAPL", 99.0 + second, second)]
        if second == 3:
            traded.append(print_at(market, "F", 10.0, second))
        truth.trade(START_S + second, traded)
    return truth


def test_the_price_of_each_second_is_known(market: Market) -> None:
    truth = book(market)

    assert truth.price_at("AAPL", START_S + 2) == (101.0, START_S + 2)
    assert truth.price_at("F", START_S + 2) == (9.0, START_S - 60)
    assert truth.price_at("F", START_S + 99) == (10.0, START_S + 3)
    assert truth.price_at("F", START_S - 61) is None
    assert truth.price_at("NOBODY", START_S) is None


def test_beyond_the_budget_the_oldest_seconds_go_and_each_last_price_stays(market: Market) -> None:
    truth = book(market, budget_mb=25 / 1e6)  # two trades of ten bytes

    assert truth.price_at("AAPL", START_S + 4) == (103.0, START_S + 4)
    assert truth.price_at("AAPL", START_S + 2) is None
    assert truth.price_at("AAPL", START_S + 3) == (102.0, START_S + 3)
    assert truth.price_at("F", START_S + 5) == (10.0, START_S + 3)


def test_a_right_table_has_no_wrong_row(market: Market) -> None:
    table = {"AAPL": (104.0, START_S + 5), "F": (10.0, START_S + 3)}

    assert book(market).check(table, lag_s=0) == []


def test_a_row_may_lag_and_no_more(market: Market) -> None:
    truth = book(market)
    table = {"AAPL": (102.0, START_S + 3)}

    assert truth.check(table, lag_s=2) == []
    (wrong,) = truth.check(table, lag_s=1)
    assert (wrong.reason, wrong.true_price, wrong.true_at_s) == ("older than the last trade", 103.0, START_S + 4)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((104.01, START_S + 5), "not the price of that trade"),
        ((101.0, START_S + 3), "not the price of that trade"),
        ((104.0, START_S + 6), "no trade at that second"),
        ((99.0, START_S - 50), "older than the last trade"),
        ((104.0, START_S + 99), "no trade at that second"),
    ],
)
def test_a_wrong_row_is_found_and_told(market: Market, row: tuple[float, int], reason: str) -> None:
    (wrong,) = book(market).check({"AAPL": row, "F": (10.0, START_S + 3)}, lag_s=2.5)

    assert (wrong.ticker, wrong.price, wrong.reason) == ("AAPL", row[0], reason)


def test_a_price_of_before_the_start_is_right_while_nothing_has_traded(market: Market) -> None:
    print_at(market, "F", 9.0, -60)
    truth = Truth(market, budget_mb=1)

    assert truth.check({"F": (9.0, START_S - 60)}, lag_s=0) == []
    assert truth.check({"F": (8.0, START_S - 60)}, lag_s=0)[0].reason == "not the price of that trade"


def test_single_precision_is_right_and_a_tick_is_not(market: Market) -> None:
    print_at(market, "AAPL", 63391.56, 1)
    truth = Truth(market, budget_mb=1)

    assert truth.check({"AAPL": (63391.559, START_S + 1)}, lag_s=0) == []
    assert truth.check({"AAPL": (63391.55, START_S + 1)}, lag_s=0) != []


def test_a_ticker_that_nobody_lists_is_told(market: Market) -> None:
    (wrong,) = book(market).check({"NOBODY": (1.0, START_S)}, lag_s=0)

    assert (wrong.reason, wrong.true_price, wrong.true_at_s) == ("nobody lists this ticker", None, None)


def test_what_was_sent_to_whom_is_known_with_its_price(market: Market) -> None:
    truth = Truth(market, budget_mb=1)
    truth.trade(START_S + 1, [print_at(market, "AAPL", 100.0, 1)])
    truth.sent(7, ["AAPL"])
    truth.trade(START_S + 2, [print_at(market, "F", 10.0, 2)])
    truth.sent(8, ["AAPL", "F"])  # a snapshot: AAPL has not traded in this second

    assert truth.sent_of("AAPL") == [
        Sent(at_s=START_S + 1, connection=7, price=100.0),
        Sent(at_s=START_S + 2, connection=8, price=100.0),
    ]
    assert truth.sent_of("AAPL", since_s=START_S + 2) == truth.sent_of("AAPL")[1:]
    assert truth.sent_of("NOBODY") == []


def test_an_opening_auction_is_of_the_second_of_the_open(market: Market) -> None:
    """The canary ticks in the same second, under its own time."""
    truth = Truth(market, budget_mb=1)
    truth.trade(START_S + 5, [print_at(market, "AAPL", 100.0, 2), print_at(market, "BTC-USD", 60_000.0, 5)])

    assert truth.price_at("AAPL", START_S + 2) == (100.0, START_S + 2)
    assert truth.price_at("BTC-USD", START_S + 5) == (60_000.0, START_S + 5)


def test_a_ticker_that_comes_later_is_known_from_its_first_trade_or_frame(market: Market) -> None:
    truth = Truth(market, budget_mb=1)
    new = replace(market.stocks["F"], listing=replace(market.stocks["F"].listing, symbol="NEWCO"), price=5.0)
    market.stocks["NEWCO"] = new
    truth.sent(1, ["NEWCO"])

    assert truth.price_at("NEWCO", START_S) == (5.0, new.trade_time_s)


def test_the_real_walk_is_written_down_as_it_walks(market: Market) -> None:
    truth = Truth(market, budget_mb=1)
    seen: dict[int, float] = {}
    for second in range(1, 20):
        truth.trade(START_S + second, market.advance(NOON + timedelta(seconds=second)))
        seen[START_S + second] = market.stocks["AAPL"].price

    assert {at_s: (truth.price_at("AAPL", at_s) or (0.0, 0))[0] for at_s in seen} == seen


def test_more_tickers_than_two_bytes_count_are_known_too(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.record.truth.FEW_TICKERS", 2)
    truth = book(market)

    assert truth.price_at("AAPL", START_S + 2) == (101.0, START_S + 2)


def test_a_split_of_a_closed_market_restates_the_last_trade_and_not_what_was_sent_before(market: Market) -> None:
    truth = book(market)
    truth.sent(7, ["AAPL"])
    market.advance(NOON + timedelta(hours=5))
    market.split("AAPL", 4, 1)
    truth.trade(market.now_s, [market.stocks["AAPL"]])

    assert truth.price_at("AAPL", market.now_s) == (26.0, START_S + 5)
    assert truth.check({"AAPL": (26.0, START_S + 5)}, lag_s=0) == []
    assert [each.price for each in truth.sent_of("AAPL")] == [104.0]
