from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.stream.feed import Feed, Refused, Subscription
from simulator.trouble.faults import Faults
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import pricing_schema

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def subscribe(*symbols: object) -> str:
    return json.dumps({"subscribe": symbols})


@pytest.fixture
def subscription() -> Subscription:
    return Subscription(faults=Faults())


def test_the_first_hundred_symbols_are_kept_over_all_frames_and_the_rest_dropped(
    subscription: Subscription,
) -> None:
    names = [f"S{number}" for number in range(120)]

    assert subscription.receive_text(subscribe(*names[:60])) == names[:60]
    assert subscription.receive_text(subscribe(*names[60:])) == names[60:100]
    assert subscription.receive_text(subscribe("LATE")) == []
    assert list(subscription.symbols) == names[:100]


def test_unsubscribing_frees_a_place(subscription: Subscription) -> None:
    subscription.receive_text(subscribe(*(f"S{number}" for number in range(100))))

    subscription.receive_text('{"unsubscribe": ["S5", "NEVER-ASKED"]}')

    assert subscription.receive_text(subscribe("A", "B")) == ["A"]


def test_a_symbol_asked_for_twice_takes_one_place_and_is_new_once(subscription: Subscription) -> None:
    assert subscription.receive_text(subscribe("A", "A")) == ["A"]
    assert subscription.receive_text(subscribe("A", "B")) == ["B"]


@pytest.mark.parametrize("text", ['{"subscribe": []}', "{}", '{"unsubscribe": ["A"]}'])
def test_what_yahoo_lets_pass_passes(subscription: Subscription, text: str) -> None:
    assert subscription.receive_text(text) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"subscribe": "BTC-USD"}',
        "hello",
        "",
        '{"bogus_action": ["A"]}',
        '{"subscribe": [null]}',
        '{"subscribe": ["A", 7]}',
        '["A"]',
        "null",
    ],
)
def test_what_yahoo_closes_for_is_refused(subscription: Subscription, text: str) -> None:
    with pytest.raises(Refused):
        subscription.receive_text(text)


def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.chosen(["AAPL", "F"]), calendar=calendar, seed=1, now=NOON)


def test_only_what_somebody_listens_to_is_encoded() -> None:
    market = practice()
    traded = market.advance(NOON + timedelta(seconds=1))

    frames = Feed(market, Faults()).frames(traded, wanted={"AAPL", "NO-SUCH"})

    assert list(frames) == ["AAPL"]
    assert frames["AAPL"][:2] == bytes((0x81, len(frames["AAPL"]) - 2))


def test_a_snapshot_skips_unknown_and_dropped_symbols() -> None:
    faults = Faults(drop_symbols={"F"})
    feed = Feed(practice(), faults)

    assert feed.snapshot(["NO-SUCH", "F"]) == {}
    assert list(feed.snapshot(["NO-SUCH", "AAPL"])) == ["AAPL"]


def prices_of(frames: dict[str, bytes]) -> dict[str, Any]:
    """Return symbol -> frame as yfinance's schema reads it."""
    texts = {symbol: json.loads(frame[frame.index(b"{") :]) for symbol, frame in frames.items()}
    return {symbol: pricing_schema().FromString(b64decode(each["message"])) for symbol, each in texts.items()}


def test_a_split_below_one_dollar_moves_the_price_hint_with_it() -> None:
    own = practice()
    feed = Feed(own, Faults())
    assert prices_of(feed.snapshot(["AAPL"]))["AAPL"].price_hint == 2

    own.split("AAPL", 1000, 1)

    assert prices_of(feed.snapshot(["AAPL"]))["AAPL"].price_hint == 4


def test_a_symbol_that_passes_to_another_company_takes_that_one_s_exchange() -> None:
    own = practice()
    feed = Feed(own, Faults())
    assert prices_of(feed.snapshot(["F"]))["F"].exchange == "NYQ"

    own.delist("F")
    own.rename("AAPL", "F")

    assert prices_of(feed.snapshot(["F"]))["F"].exchange == "NMS"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"subscribe": ["\\ud800"]}'])
def test_what_is_too_deep_or_half_a_letter_is_refused(subscription: Subscription, text: str) -> None:
    with pytest.raises(Refused):
        subscription.receive_text(text)
