from __future__ import annotations

from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import insights
from simulator.world import listings
from simulator.world.walk import Market
from tests.fix_simulator import NOON


@pytest.fixture(scope="module")
def practice() -> Market:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    return Market(listings.chosen(["ABBV", "QQQ"]), calendar=calendar, seed=1, now=NOON)


def said(practice: Market, **query: str) -> dict[str, Any]:
    status, document = insights.answer(practice, query)
    assert status == 200
    return dict(document["finance"]["result"])


def test_of_a_share_more_is_known_than_of_a_fund_and_of_others_only_the_name(practice: Market) -> None:
    share, fund = said(practice, symbol="ABBV"), said(practice, symbol="QQQ")

    assert share.keys() - fund.keys() == {"companySnapshot", "recommendation", "upsellSearchDD", "secReports"}
    assert share["companySnapshot"]["sectorInfo"] == "Healthcare"
    assert said(practice, symbol="BTC-USD") == {"symbol": "BTC-USD", "sigDevs": []}
    assert said(practice) == {"symbol": "", "sigDevs": []}


def test_the_levels_lie_around_the_true_price(practice: Market) -> None:
    levels, price = said(practice, symbol="ABBV")["instrumentInfo"]["keyTechnicals"], practice.stocks["ABBV"].price

    assert levels["support"] < levels["stopLoss"] < price < levels["resistance"]


@pytest.mark.parametrize(("asked", "count"), [({}, 2), ({"reportsCount": "3"}, 3), ({"reportsCount": "9" * 5_000}, 20)])
def test_so_many_reports_come_as_were_asked_for(practice: Market, asked: dict[str, str], count: int) -> None:
    assert len(said(practice, symbol="ABBV", **asked)["reports"]) == count
