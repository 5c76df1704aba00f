import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from market import quality
from market.quality import FUTURE_TOLERANCE, agree, jumps, mixed_up, why_past_refused, why_tick_refused
from market.quotes import Quote, Tick
from yahoo.quote import parse_answer

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "v7_quotes.jsonl").read_text(encoding="utf-8").splitlines()
]


NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def why_refused(quote: Quote, at: datetime = NOW) -> str | None:
    return quality.why_refused(quote, at=at)


def recorded_quotes() -> list[Quote]:
    found: list[Quote] = []
    for recording in RECORDED:
        at = datetime.fromisoformat(recording["recorded_at"])
        body = json.dumps(recording["body"]).encode()
        found += parse_answer(body, asked=recording["symbols"].split(","), at=at).quotes
    return found


def a_quote(**fields: Any) -> Quote:
    """A sound one: 100 -> 102 dollars, between 99 and 103."""
    sound: dict[str, Any] = {
        "currency": "USD",
        "current_price": 102.0,
        "price_change": 2.0,
        "price_change_percent": 2.0,
        "days_low": 99.0,
        "days_high": 103.0,
    }
    return Quote(ticker="A", **(sound | fields))


def test_every_sound_recorded_dollar_quote_passes() -> None:
    sound = [quote for quote in recorded_quotes() if quote.currency in ("USD", None)]
    assert len(sound) == 113
    assert {why_refused(quote) for quote in sound} == {None}


def test_every_recorded_quote_in_another_currency_is_refused() -> None:
    foreign = [quote for quote in recorded_quotes() if quote.currency not in ("USD", None)]
    assert {quote.currency for quote in foreign} == {"GBp", "EUR", "IDR", "DKK", "AUD"}
    assert {why_refused(quote) for quote in foreign} == {"currency"}


def test_a_quote_that_says_nothing_breaks_no_rule() -> None:
    assert why_refused(Quote(ticker="A")) is None


@pytest.mark.parametrize("currency", ["EUR", "GBp", "usd", ""])
def test_only_dollars_are_dollars(currency: str) -> None:
    assert why_refused(a_quote(currency=currency)) == "currency"
    assert why_refused(a_quote(currency=None)) is None


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (99.0, 103.0, None),
        (99.0, 99.0, None),
        (1.0, 100.0, None),
        (1.0, 100.1, "day_range"),  # cents for dollars
        (103.0, 99.0, "day_range"),
        (None, 99.0, None),
        (99.0, None, None),
    ],
)
def test_a_days_range_is_in_order_and_within_a_hundredfold(
    low: float | None, high: float | None, reason: str | None
) -> None:
    assert why_refused(a_quote(days_low=low, days_high=high)) == reason


@pytest.mark.parametrize(
    ("price", "change", "percent", "reason"),
    [
        (102.0, 2.0, 2.0, None),
        (102.0, 2.0, 0.02, "change"),  # a fraction for percent
        (102.0, 2.0, 200.0, "change"),
        (102.0, 2.0, -2.0, "change"),
        (102.0, -2.0, 2.0, "change"),
        (102.0, 102.0, 2.0, "change"),  # yesterday for nothing
        (102.0, 103.0, 2.0, "change"),
        (0.0102, 0.0002, 2.0, None),  # cents round so coarsely that nothing can be said
        (102.0, 0.0, 0.0, None),
        (10_200.0, 200.0, 2.05, None),
        (10_200.0, 200.0, 2.07, "change"),
    ],
)
def test_price_change_and_percent_describe_one_move(
    price: float, change: float, percent: float, reason: str | None
) -> None:
    quote = a_quote(
        days_low=None, days_high=None, current_price=price, price_change=change, price_change_percent=percent
    )
    assert why_refused(quote) == reason


@pytest.mark.parametrize("absent", ["current_price", "price_change", "price_change_percent"])
def test_a_move_that_is_not_told_in_full_is_not_judged(absent: str) -> None:
    assert why_refused(a_quote(**{"price_change_percent": 200.0, absent: None})) is None


def test_the_first_broken_rule_is_the_one_that_is_named() -> None:
    assert why_refused(a_quote(currency="EUR", days_low=200.0, price_change=50.0)) == "currency"
    assert why_refused(a_quote(days_low=200.0, price_change=50.0)) == "day_range"


def test_a_time_ahead_of_the_clock_is_refused_but_not_for_a_clock_that_is_a_little_late() -> None:
    """It would outlast every true trade until then."""
    soon, late = NOW + FUTURE_TOLERANCE, NOW + FUTURE_TOLERANCE + timedelta(seconds=1)
    assert [why_refused(a_quote(price_time=at)) for at in (soon, late)] == [None, "future"]
    ticks = [Tick(ticker="A", price=1.0, price_time=at) for at in (soon, late)]
    assert [why_tick_refused(tick, at=NOW) for tick in ticks] == [None, "future"]


@pytest.mark.parametrize(
    ("price", "rule"), [(66.0, None), (65.9, "price_outside_day"), (154.5, None), (10_200.0, "price_outside_day")]
)
def test_a_price_far_outside_its_day_is_refused(price: float, rule: str | None) -> None:
    """The day's range is 99 to 103."""
    assert why_refused(a_quote(current_price=price, price_change=None)) == rule


@pytest.mark.parametrize(("price", "rule"), [(102.0, None), (10_200.0, "change"), (1.02, "change")])
def test_a_tick_whose_price_its_change_and_percent_contradict_is_refused(price: float, rule: str | None) -> None:
    tick = Tick(ticker="A", price=price, price_time=NOW, change=2.0, change_percent=2.0)
    assert why_tick_refused(tick, at=NOW) == rule


@pytest.mark.parametrize(
    ("price", "known", "is_jump"),
    [
        (150.0, {"last": 100.0}, False),
        (150.1, {"last": 100.0}, True),
        (66.7, {"last": 100.0}, False),
        (66.6, {"last": 100.0}, True),
        (150.1, {"last": 100.0, "previous_close": 140.0}, False),
        (150.1, {"last": 100.0, "previous_close": 90.0}, True),
        (150.1, {"last": 100.0, "day": (99.0, 150.1)}, False),
        (150.1, {"last": 100.0, "day": (99.0, 150.0)}, True),
        (150.1, {"last": None, "previous_close": 100.0}, True),
        (150.1, {"last": None, "previous_close": 101.0}, False),
        (150.1, {"last": None}, False),  # nothing is known: nothing can be said
        (150.1, {"last": None, "day": (1.0, 2.0)}, False),
    ],
)
def test_a_jump_is_what_neither_last_price_nor_close_nor_day_range_supports(
    price: float, known: dict[str, Any], is_jump: bool
) -> None:
    assert jumps(price, **known) is is_jump


def test_two_prices_of_one_market_are_within_a_fifth_of_each_other() -> None:
    assert [agree(*pair) for pair in ((100.0, 120.0), (120.0, 100.0), (100.0, 120.1), (100.0, 83.2))] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("odd", "total", "mixed"), [(1, 2, False), (2, 8, True), (10, 100, False), (11, 100, True)])
def test_rows_may_be_each_others_if_two_and_more_than_a_tenth_contradict(odd: int, total: int, mixed: bool) -> None:
    assert mixed_up(odd, total) is mixed


@pytest.mark.parametrize(
    ("price", "previous_close", "last_close", "rule"),
    [
        (1020.0, 10.0, 10.1, "past"),
        (0.1, 10.0, 10.1, "past"),
        (31.0, 10.0, 10.1, None),  # a takeover
        (1020.0, 1000.0, 10.1, None),  # perhaps a reverse split: the chart tells
        (1020.0, None, 10.1, None),
        (1020.0, 10.0, None, None),
        (None, 10.0, 10.1, None),
    ],
)
def test_a_price_of_another_unit_than_its_own_previous_close_is_refused(
    price: float | None, previous_close: float | None, last_close: float | None, rule: str | None
) -> None:
    quote = Quote(ticker="A", current_price=price, previous_close=previous_close)
    assert why_past_refused(quote, last_close=last_close) == rule
