from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from core.clock import SystemClock
from storage.schema import signals
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of
from tests.fix_storage import NOON

BASE = "/api/v1/signals"


@pytest.fixture(scope="module")
def market(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Three signals of two scans, the newest last."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("signals"))
    base = {"scan_id": "x", "session": NOON.date(), "status": "active", "updated_at": NOON, "pattern": "inside_bar"}
    rows = [
        {**base, "scan": scan, "symbol": symbol, "direction": direction, "created_at": NOON + timedelta(minutes=minute)}
        for minute, (scan, symbol, direction) in enumerate(
            (("a", "AAPL", "BUY"), ("a", "MSFT", "SELL"), ("b", "AAPL", "BUY"))
        )
    ]
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        writer.run(lambda tx: tx.connection.execute(insert(signals), rows), source="test")
    with served(settings_of(folder, auth=False), folder) as found:
        yield found


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [3, 2, 1]),
        ("?scan=a", [2, 1]),
        ("?symbol=aapl", [3, 1]),
        ("?direction=sell", [2]),
        ("?pattern=none", []),
        ("?status=active&limit=2", [3, 2]),
    ],
)
def test_signals_come_the_newest_first_and_filtered(market: RunningApi, query: str, ids: list[int]) -> None:
    assert [row["id"] for row in market.ask("GET", f"{BASE}{query}").json["data"]] == ids


def test_the_next_page_begins_where_this_one_ends(market: RunningApi) -> None:
    first = market.ask("GET", f"{BASE}?limit=2").json
    rest = market.ask("GET", f"{BASE}?limit=2&cursor={first['next']}").json
    assert ([row["id"] for row in rest["data"]], rest["next"]) == ([1], None)


def test_a_person_says_what_became_of_a_signal(market: RunningApi) -> None:
    changed = market.ask("PATCH", f"{BASE}/1/status", {"status": "triggered"})
    assert (changed.status, changed.json["status"]) == (200, "triggered")
    assert market.ask("GET", f"{BASE}/1").json["status"] == "triggered"


def test_an_unknown_signal_and_a_wrong_status_are_problems(market: RunningApi) -> None:
    assert market.ask("GET", f"{BASE}/99").status == 404
    assert market.ask("PATCH", f"{BASE}/99/status", {"status": "closed"}).status == 404
    for body in ({"status": "x"}, {"status": "active", "id": 2}, {}):
        assert market.ask("PATCH", f"{BASE}/1/status", body).status == 422
    for one in ("0", "x", str(2**63)):
        assert market.ask("GET", f"{BASE}/{one}").status == 422
