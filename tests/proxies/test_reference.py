from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.errors import Unreachable
from net.budget import Budget
from net.client import Answer
from proxies.reference import AGAIN_S, LONGEST_WAIT_S, DirectReference
from tests.fix_storage import StillClock


class Yahoo:
    """Answers with a price that grows by one a request."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.away = False

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        self.asked += 1
        if self.away:
            raise Unreachable("nobody there", where=url)
        meta = {"symbol": url.rpartition("/")[2], "regularMarketPrice": 100 + self.asked}
        result = {"meta": meta, "timestamp": [], "indicators": {"quote": [{}]}}
        body = json.dumps({"chart": {"result": [result]}}).encode()
        return Answer(status=self.status, headers={}, body=body)

    def cookies(self) -> list[str]:
        return []


def made(folder: Path) -> tuple[DirectReference, Yahoo, StillClock, Budget]:
    yahoo, clock, budget = Yahoo(), StillClock(), Budget(folder, start_per_s=1.0, max_per_s=2.0)
    return DirectReference(yahoo, budget, clock), yahoo, clock, budget


async def test_a_chart_is_asked_once_as_long_as_it_is_fresh_enough(tmp_path: Path) -> None:
    reference, yahoo, clock, _ = made(tmp_path)
    for _ in range(3):
        chart = await reference.chart("AAPL", max_age_s=300)
        assert chart is not None and chart.price == 101
    await clock.sleep(31)
    fresher = await reference.chart("AAPL", max_age_s=30)
    assert fresher is not None and fresher.price == 102
    assert yahoo.asked == 2


async def test_where_yahoo_is_away_the_last_chart_serves_for_an_hour_and_it_is_left_alone(tmp_path: Path) -> None:
    reference, yahoo, clock, _ = made(tmp_path)
    await reference.chart("AAPL", max_age_s=300)
    yahoo.away = True
    await clock.sleep(600)
    kept = await reference.chart("AAPL", max_age_s=300)
    assert kept is not None and kept.price == 101
    assert await reference.chart("MSFT", max_age_s=300) is None
    assert yahoo.asked == 2, "not again at once, not for another either"
    await clock.sleep(AGAIN_S)
    assert await reference.chart("MSFT", max_age_s=300) is None
    assert yahoo.asked == 3
    await clock.sleep(3600)
    assert await reference.chart("AAPL", max_age_s=300) is None


async def test_it_takes_slots_of_the_shared_budget_and_slows_all_down_when_refused(tmp_path: Path) -> None:
    reference, yahoo, clock, budget = made(tmp_path)
    before = budget.lane()
    await reference.chart("AAPL", max_age_s=300)
    assert budget.lane().next_free_s > before.next_free_s
    yahoo.status = 429
    await reference.chart("MSFT", max_age_s=300)
    assert budget.quiet_for_s(clock.monotonic_s()) > 20
    await clock.sleep(AGAIN_S)


async def test_where_scanners_need_the_lane_it_steps_back(tmp_path: Path) -> None:
    reference, yahoo, clock, budget = made(tmp_path)
    while budget.lane().next_free_s - clock.monotonic_s() <= LONGEST_WAIT_S:
        budget.reserve(now_s=clock.monotonic_s())
    assert await reference.chart("AAPL", max_age_s=300) is None
    assert yahoo.asked == 0
