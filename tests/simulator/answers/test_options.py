from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import options
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import NOON


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.chosen(["AAPL", "BRK-B", "SOHO"]), calendar=calendar, seed=1, now=NOON)


def chain(practice: Market, symbol: str, **query: str) -> dict[str, Any]:
    status, document = options.answer(practice, symbol, query)
    assert status == 200
    (result,) = document["optionChain"]["result"]
    return dict(result)


def test_the_expirations_are_fridays_from_this_week_on(practice: Market) -> None:
    days = [datetime.fromtimestamp(at_s, UTC) for at_s in chain(practice, "AAPL")["expirationDates"]]

    assert (days[0].date().isoformat(), {day.weekday() for day in days}) == ("2026-11-27", {4})
    assert {"2026-12-18", "2027-01-15"} <= {day.date().isoformat() for day in days}


def test_the_strikes_lie_on_both_sides_of_the_true_price_and_the_quote_is_the_quote(practice: Market) -> None:
    result, price = chain(practice, "AAPL"), practice.stocks["AAPL"].price

    assert min(result["strikes"]) < price < max(result["strikes"])
    assert result["quote"]["regularMarketPrice"] == price
    assert [each["strike"] for each in result["options"][0]["calls"]] == result["strikes"]


def test_an_option_is_worth_at_least_what_it_would_bring_now(practice: Market) -> None:
    price = practice.stocks["AAPL"].price
    (nearest,) = chain(practice, "AAPL")["options"]

    assert all(each["lastPrice"] >= price - each["strike"] - 0.01 for each in nearest["calls"])
    assert all(each["lastPrice"] >= each["strike"] - price - 0.01 for each in nearest["puts"])


def test_a_date_chooses_the_expiration_and_one_that_is_none_has_no_contracts(practice: Market) -> None:
    second = chain(practice, "AAPL")["expirationDates"][1]
    (found,) = chain(practice, "AAPL", date=str(second))["options"]
    (none,) = chain(practice, "AAPL", date="1646092800")["options"]

    assert {each["expiration"] for each in found["calls"]} == {second}
    assert (none["expirationDate"], none["calls"], none["puts"]) == (1_646_092_800, [], [])
    assert chain(practice, "AAPL", date="x" * 9)["options"] == chain(practice, "AAPL")["options"]


def test_a_ticker_that_hardly_trades_has_no_options_and_an_unknown_one_no_result(practice: Market) -> None:
    assert (chain(practice, "SOHO")["expirationDates"], chain(practice, "SOHO")["options"]) == ([], [])
    assert options.answer(practice, "NOBODY", {})[1]["optionChain"]["result"] == []
