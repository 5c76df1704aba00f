from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import timeseries
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
YEARS = {"period1": str(int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())), "period2": str(int(NOON.timestamp()))}


def results(symbol: str = "AAPL", **query: str) -> list[dict[str, Any]]:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    practice = Market(listings.chosen(["AAPL", "QQQ"]), calendar=calendar, seed=1, now=NOON)
    status, document = timeseries.answer(practice, symbol, query)
    assert (status, document["timeseries"]["error"]) == (200, None)
    return list(document["timeseries"]["result"])


def test_years_and_quarters_end_on_their_last_day() -> None:
    annual, quarterly = results(type="annualTotalRevenue,quarterlyNetIncome", **YEARS)

    assert [point["asOfDate"] for point in annual["annualTotalRevenue"]] == ["2023-12-31", "2024-12-31", "2025-12-31"]
    assert [point["asOfDate"] for point in quarterly["quarterlyNetIncome"]][-2:] == ["2026-06-30", "2026-09-30"]
    assert {point["periodType"] for point in quarterly["quarterlyNetIncome"]} == {"3M"}


def test_a_figure_is_the_same_each_time_and_a_ratio_is_small() -> None:
    query = {"type": "trailingPegRatio", **YEARS}
    (ratio,) = results(**query)

    assert results(**query) == [ratio]
    assert 0 < ratio["trailingPegRatio"][0]["reportedValue"]["raw"] < 5


def test_a_fund_an_unknown_ticker_and_an_unknown_type_have_no_figures() -> None:
    for symbol, name in (("QQQ", "annualTotalRevenue"), ("NO-SUCH", "annualTotalRevenue"), ("AAPL", "nonsense")):
        assert results(symbol, type=name, **YEARS) == [{"meta": {"symbol": [symbol], "type": [name]}}]


def test_without_a_type_the_counts_of_shares_come() -> None:
    (shares,) = results(**YEARS)

    assert set(shares["shares_out"]) == {14_594_180_000}  # AAPL, recorded 2026-10-03
    assert len(shares["shares_out"]) == len(shares["timestamp"]) == 15


def test_times_that_are_no_numbers_count_as_not_given() -> None:
    (series,) = results(type="annualTotalRevenue", period1="abc", period2="9" * 30)

    assert len(series["annualTotalRevenue"]) == 5
