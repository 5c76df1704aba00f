from __future__ import annotations

import pytest

from api.handlers.later import ROUTES
from tests.fix_api import RunningApi


def test_the_places_of_people_lists_and_notifications_are_kept() -> None:
    paths = {route.path for route in ROUTES}
    wanted = ("watchlist", "portfolios", "notifications", "notification-channels", "analytics/patterns")
    assert {f"/api/v1/{name}" for name in wanted} <= paths


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_each_says_that_it_is_to_come(api: RunningApi, method: str) -> None:
    answer = api.ask(method, "/api/v1/watchlist")
    assert (answer.status, answer.json["code"]) == (501, "not_there_yet")
