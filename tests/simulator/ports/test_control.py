from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import FixByHand, TickerdError
from simulator.ports import orders
from simulator.ports.control import Control
from simulator.testing import PracticeMarket
from simulator.trouble import catalogue
from simulator.world.walk import Market
from tests.fix_simulator import NOON, YahooClient


async def test_every_order_has_its_method_and_every_event_is_the_market_s(still_market: PracticeMarket) -> None:
    control = Control(still_market.server)

    assert set(control._methods) == set(orders.ORDERS)
    assert [event for event in catalogue.EVENTS if not callable(getattr(Market, event, None))] == []


async def test_a_fault_gets_a_number_and_is_cleared_by_it_by_name_or_with_all(still_market: PracticeMarket) -> None:
    one, other, third = (still_market.fault(name) for name in ("mute", "html", "mute"))

    assert (one, other, third) == (1, 2, 3)
    assert [fault["name"] for fault in still_market.faults_on()] == ["mute", "html", "mute"]
    assert still_market.clear(number=one) == 1
    assert still_market.clear("mute") == 1
    assert still_market.clear() == 1
    assert still_market.clear() == 0


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"do": "fault", "name": "moot"}, "fault: 'moot' is no fault; known: answer, "),
        ({"do": "clear", "name": "moot"}, "clear: 'moot' is no fault; known: answer, "),
        ({"do": "event", "event": "dance", "ticker": "AAPL"}, "event: 'dance' is no event; known: delist, "),
        ({"do": "event", "event": "halt", "ticker": "NOBODY"}, "NOBODY is not traded here"),
        ({"do": "event", "event": "split", "ticker": "AAPL"}, "split: the details are none; give new, old"),
        (
            {"do": "event", "event": "split", "ticker": "AAPL", "details": {"new": "two", "old": 1}},
            "split: Expected `int`, got `str`; give new, old",
        ),
        ({"do": "proxies", "kind": "nice"}, "fleet: 'nice' is no kind of proxy; known: auth, "),
        ({"do": "proxies", "kind": "good", "protocol": "ftp"}, "fleet: 'ftp' is no protocol; known: http, socks4a"),
        ({"do": "proxies", "kind": "good", "exit": "here"}, "fleet: exit: 'here' is no address"),
        ({"do": "turn", "address": "127.0.0.1:1", "kind": "good"}, "fleet: '127.0.0.1:1' is no proxy of the fleet"),
    ],
)
async def test_a_wrong_order_is_told(still_market: PracticeMarket, order: dict[str, object], reason: str) -> None:
    with pytest.raises(TickerdError) as refused:
        Control(still_market.server).obey(order)
    assert str(refused.value).startswith(reason)


async def test_a_halted_ticker_trades_no_more_until_it_resumes(still_market: PracticeMarket) -> None:
    still_market.event("halt", "AAPL")
    still_market.server.advance(NOON + timedelta(seconds=1))
    halted_s = still_market.prices()["AAPL"][1]
    still_market.event("resume", "AAPL")
    still_market.server.advance(NOON + timedelta(seconds=2))

    assert (halted_s <= NOON.timestamp(), still_market.prices()["AAPL"][1]) == (True, NOON.timestamp() + 2)


async def test_a_gap_is_a_trade_that_the_book_knows(still_market: PracticeMarket) -> None:
    before, _ = still_market.prices()["AAPL"]
    still_market.event("gap", "AAPL", percent=10)
    price, at_s = still_market.prices()["AAPL"]

    assert price == pytest.approx(1.1 * before, rel=1e-3)
    assert still_market.price_at("AAPL", NOON) == (price, at_s) == (price, NOON.timestamp())


async def test_a_new_and_a_renamed_ticker_are_traded_and_known(still_market: PracticeMarket) -> None:
    still_market.event("list_new", "NEWCO")
    still_market.event("rename", "F", new_symbol="FORD")
    still_market.server.advance(NOON + timedelta(seconds=1))

    assert {"NEWCO", "FORD"} <= still_market.prices().keys()
    assert still_market.price_at("FORD", NOON + timedelta(seconds=1)) is not None


async def test_requests_and_connections_are_told_after_a_number_and_by_pattern(still_market: PracticeMarket) -> None:
    assert (still_market.requests(), still_market.connections()) == ([], [])
    with pytest.raises(FixByHand, match="unknown field `color`"):
        still_market.requests(color="red")


async def test_a_table_is_checked_against_the_truth(still_market: PracticeMarket) -> None:
    prices = still_market.prices().items()
    right = {ticker: (price, datetime.fromtimestamp(at_s, UTC)) for ticker, (price, at_s) in prices}
    wrong = {**right, "AAPL": (right["AAPL"][0] + 1, right["AAPL"][1])}

    assert still_market.check(right, lag_s=0) == []
    assert [(row.ticker, row.reason) for row in still_market.check(wrong, lag_s=0)] == [
        ("AAPL", "not the price of that trade")
    ]


async def test_the_ledger_tells_each_request_with_its_tickers_exit_and_fault(still_market: PracticeMarket) -> None:
    client = YahooClient(still_market.proxy_url, still_market.ca_file)
    await asyncio.to_thread(client.log_in)
    still_market.fault("too_many", times=1)
    for _ in range(2):
        await asyncio.to_thread(client.quote, ["AAPL", "F"])

    asked = still_market.requests(path="/v7/*")
    assert [(each.tickers, each.status, each.fault) for each in asked] == [
        (["AAPL", "F"], 429, "too_many"),
        (["AAPL", "F"], 200, ""),
    ]
    assert {(each.proxy, each.exit, each.at_s) for each in asked} == {("direct", "192.0.2.1", NOON.timestamp())}
    assert still_market.requests(since=asked[0].number) == asked[1:]
    assert [each.host for each in still_market.connections(host="fc.*")] == ["fc.yahoo.com"]


async def test_the_status_counts(still_market: PracticeMarket) -> None:
    still_market.add_proxies("good", 2)
    still_market.fault("mute")
    status = still_market.status()

    assert (status.tickers, status.proxies, status.faults, status.phase) == (9, 2, 1, "REGULAR")
    assert status.now_s == NOON.timestamp()


async def test_a_new_listing_takes_no_details(still_market: PracticeMarket) -> None:
    with pytest.raises(FixByHand, match="give no details"):
        still_market.event("list_new", "NEWCO", price=5)
    with pytest.raises(FixByHand, match="is no ticker"):
        still_market.event("list_new", "")


async def test_a_split_of_an_open_market_is_a_trade_that_everybody_hears_of(still_market: PracticeMarket) -> None:
    before = still_market.market.stocks["AAPL"].price
    still_market.event("split", "AAPL", new=4, old=1)

    price, at_s = still_market.prices()["AAPL"]
    assert price == pytest.approx(before / 4, abs=0.005)
    assert at_s == int(NOON.timestamp())
    assert still_market.check({"AAPL": (price, NOON)}, lag_s=0) == []
    assert still_market.check({"AAPL": (before, NOON)}, lag_s=0) != []
