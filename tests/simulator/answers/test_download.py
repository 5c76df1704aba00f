from __future__ import annotations

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import download
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import NOON


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.chosen(["AAPL"]), calendar=calendar, seed=1, now=NOON)
    market.split("AAPL", 4, 1)
    return market


def lines(practice: Market, **query: str) -> list[str]:
    found = download.respond(practice, "AAPL", query)
    assert (found.status, found.headers["content-disposition"]) == (200, "attachment; filename=AAPL.csv")
    return found.body.decode().split("\n")


def test_the_last_line_is_today_as_the_quote_has_it(practice: Market) -> None:
    stock = practice.stocks["AAPL"]
    on, *prices, volume = lines(practice, range="5d")[-1].split(",")

    assert (on, int(volume)) == ("2026-11-23", stock.volume)
    true = [stock.open, stock.high, stock.low, stock.price, stock.price]
    assert [float(price) for price in prices] == pytest.approx(true, abs=1e-5)


def test_dividends_and_splits_have_files_of_their_own(practice: Market) -> None:
    paid, parted = lines(practice, range="1y", events="dividends"), lines(practice, range="1y", events="splits")

    assert paid[0] == "Date,Dividends"
    assert paid[1:] != []
    assert {line.partition(",")[2] for line in paid[1:]} == {"0.065600"}  # 1.05 USD a year, before 4 for 1
    assert parted == ["Date,Stock Splits", "2026-11-23,4:1"]


def test_a_window_without_a_bar_is_the_head_alone_and_an_unknown_ticker_an_error_in_words(practice: Market) -> None:
    saturday_s = int(NOON.timestamp()) - 2 * 86_400
    window = {"period1": str(saturday_s), "period2": str(saturday_s + 3_600)}
    assert lines(practice, **window) == ["Date,Open,High,Low,Close,Adj Close,Volume"]

    refused = download.respond(practice, "NOBODY", {})
    assert (refused.status, refused.body.decode()) == (404, "404 Not Found: No data found, symbol may be delisted")
